"""The clock: offers, lapses and publishes the line, as long as it lives. A second one stands by and costs nothing.

Correctness never depends on there being one: every service locks the tournament's row itself. The advisory try-lock only spares
two clocks the same work.
"""

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection, transaction
from redis.exceptions import RedisError

from registrations.publisher import LinePublisher
from registrations.services import beat, lapse_offers, offer_seats

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.25
BEAT_SECONDS = 5.0
AWAY_SECONDS = 1.0

# Keys of the advisory locks: one for the line, one for each tournament (its id as the second number).
PUBLISH_LOCK, SERVE_LOCK = 1, 2

# Tournaments with a free seat and somebody in line, or with an offer whose time is up.
TO_SERVE = """
SELECT t.id FROM tournaments_tournament t
WHERE t.published_at <= now() AND t.cancelled_at IS NULL AND t.paused_at IS NULL
  AND (
    EXISTS (SELECT FROM registrations_queueentry e
            WHERE e.tournament_id = t.id AND e.state = 'OFFERED' AND e.offer_expires_at <= now()
              AND (e.checkout_at IS NULL OR e.hold_until <= now()))
    OR (t.offers_end_at > now() AND (t.mode = 'FIRST_COME' OR t.drawn_at <= now()
             - CASE WHEN t.mode = 'LOTTERY' THEN make_interval(mins => t.objection_minutes) ELSE interval '0' END)
        AND EXISTS (SELECT FROM tournaments_seat s JOIN tournaments_division d ON d.id = s.division_id
                    WHERE d.tournament_id = t.id
                      AND NOT EXISTS (SELECT FROM registrations_queueentry e WHERE e.seat_id = s.id)
                      AND EXISTS (SELECT FROM registrations_queueentry e
                                  WHERE e.division_id = d.id AND e.state = 'WAITING' AND e.place IS NOT NULL)))
  )
"""


class Clock:
    """Ticks until `stopping` says so."""

    def __init__(self) -> None:
        self.stopping = False
        self.publisher = LinePublisher()
        self.led_publishing = False
        self.beat_at = -BEAT_SECONDS

    def run(self) -> None:
        while not self.stopping:
            began = time.monotonic()
            try:
                self.tick()
            except DatabaseError:
                logger.exception("The database is away; the clock tries again")
                time.sleep(AWAY_SECONDS)
            finally:
                close_old_connections()
            time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))

    def tick(self) -> None:
        self._beat()
        for tournament_id in tournaments_to_serve():
            self._serve(tournament_id)
        self._publish()

    def _beat(self) -> None:
        """Before anything can lapse: what was lost while no clock ticked is given back."""
        if time.monotonic() - self.beat_at >= BEAT_SECONDS:
            silent = beat()
            self.beat_at = time.monotonic()
            if silent:
                logger.warning("No clock ticked for %s; open offers last so much longer", silent)

    def _serve(self, tournament_id: int) -> None:
        try:
            _while_leading(SERVE_LOCK, tournament_id, lambda: serve(tournament_id))
        except (OperationalError, InterfaceError):
            raise  # the database is away for all
        except Exception:
            # One tournament's trouble is not the others'; this one is tried again in the next tick.
            logger.exception("Tournament %s can't be served", tournament_id)

    def _publish(self) -> None:
        led = False
        try:
            led = _while_leading(PUBLISH_LOCK, 0, self._publish_moves)
        except RedisError:
            logger.warning("Redis is away; the line is published once it is back")
        finally:
            self.led_publishing = led

    def _publish_moves(self) -> None:
        if not self.led_publishing:
            # Another clock published since, or this one broke off: what is in memory may not be what was published.
            self.publisher.forget()
        self.publisher.publish_moves()


def tournaments_to_serve() -> list[int]:
    """Ids of the tournaments in which something is due."""
    with connection.cursor() as cursor:
        cursor.execute(TO_SERVE)
        return [row[0] for row in cursor.fetchall()]


def serve(tournament_id: int) -> None:
    """What is due in one tournament: lapses first, so that their seats are offered in the same tick."""
    lapse_offers(tournament_id=tournament_id)
    offer_seats(tournament_id=tournament_id)


def _while_leading(kind: int, key: int, work: Callable[[], object]) -> bool:
    """Do the work in one transaction under an advisory try-lock; returns False if another clock has it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [kind, key])
            if not cursor.fetchone()[0]:
                return False
        work()
    return True
