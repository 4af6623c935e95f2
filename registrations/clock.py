"""The clock: offers, lapses and publishes the line, as long as it lives. A second one stands by and costs nothing.

Correctness never depends on there being one: every service locks the tournament's row itself. The advisory try-lock only spares
two clocks the same work.
"""

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from django.db import close_old_connections, connection, transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from registrations.publisher import LinePublisher
from registrations.queries import CAN_BE_OFFERED
from registrations.rules import TICK
from registrations.services import beat, lapse_offers, offer_seats
from vgchub import health
from vgchub.postgresql.locks import Work, only_one

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
AWAY_SECONDS = 1.0
LEAD_SECONDS = 2.0  # a leading clock that is silent for so long is followed by another

# Whether somebody in the line of division `d` can be offered a seat. In the order of the line, so
# that whatever the planner guesses it is read by an index, and no further than to the first of them.
OFFERABLE = f"""(
    SELECT true FROM registrations_queueentry e
    JOIN accounts_player p ON p.id = e.player_id JOIN accounts_user u ON u.id = p.account_id
    WHERE e.division_id = d.id AND e.state = 'WAITING' AND e.place IS NOT NULL
      AND {CAN_BE_OFFERED} {{and_}}
    ORDER BY e.priority DESC, e.place LIMIT 1)"""  # noqa: S608  a fragment of our own

# Tournaments with an offer whose time is up, or with a free seat and somebody who can be offered it. Serving one holds its row
# alone, and joins wait for that: so it is asked here whether `offer_seats` would offer anything, its pace left aside.
TO_SERVE = f"""
SELECT t.id FROM tournaments_tournament t
WHERE t.published_at <= now() AND t.cancelled_at IS NULL AND t.paused_at IS NULL
  AND (
    EXISTS (SELECT FROM registrations_queueentry e
            WHERE e.tournament_id = t.id AND e.state = 'OFFERED' AND e.offer_expires_at <= now()
              AND (e.checkout_at IS NULL OR e.hold_until <= now()))
    OR (t.offers_end_at > now() AND (t.mode = 'FIRST_COME' OR t.drawn_at <= now()
             - CASE WHEN t.mode = 'LOTTERY' THEN make_interval(mins => t.objection_minutes) ELSE interval '0' END)
        AND EXISTS (
            SELECT FROM tournaments_division d CROSS JOIN LATERAL (
                SELECT DISTINCT s.reserved_for_id FROM tournaments_seat s
                WHERE s.division_id = d.id AND NOT EXISTS (SELECT FROM registrations_queueentry e WHERE e.seat_id = s.id)) free
            WHERE d.tournament_id = t.id
              AND ({OFFERABLE.format(and_="AND e.group_id = free.reserved_for_id")}
                   OR ((free.reserved_for_id IS NULL OR (t.releases_reserved AND t.closes_at <= now()))
                       AND {OFFERABLE.format(and_="")}))))
  )
"""  # noqa: S608  a fragment of our own


class Lead:
    """Which of several clocks ticks: the one that said so last in Redis. All others stand by, at the cost of one question a tick.

    It saves work and no more: whatever two clocks do at once, the advisory locks keep apart. Without Redis all of them tick.
    """

    KEY = "vgchub:clock:leads"

    def __init__(self) -> None:
        self.name = secrets.token_hex(8).encode()

    def is_ours(self) -> bool:
        """Whether this clock leads; if nobody does, it does from now on."""
        lasts = int(LEAD_SECONDS * 1000)
        try:
            leader = get_redis_connection("default").set(self.KEY, self.name, nx=True, get=True, px=lasts)
            if leader == self.name:
                get_redis_connection("default").pexpire(self.KEY, lasts)
        except RedisError:
            return True
        return leader in (None, self.name)

    def pass_on(self) -> None:
        """Whoever stands by need not wait until we are missed."""
        with suppress(RedisError):
            if self.is_ours():
                get_redis_connection("default").delete(self.KEY)


class Clock:
    """Ticks until `stopping` says so, while it leads."""

    def __init__(self) -> None:
        self.stopping = False
        self.lead = Lead()
        self.publisher = LinePublisher()
        self.led_publishing = False
        self.beat_at = -BEAT_SECONDS

    def run(self) -> None:
        while not self.stopping:
            began = time.monotonic()
            try:
                if self.lead.is_ours():
                    self.tick()
                else:
                    self.led_publishing = False
            except Exception:
                # The database is away, or something is wrong for all. A clock that ended would only be started into the same.
                logger.exception("The clock could not tick; it tries again")
                time.sleep(AWAY_SECONDS)
            finally:
                close_old_connections()
            time.sleep(max(0.0, TICK.total_seconds() - (time.monotonic() - began)))
        self.lead.pass_on()

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
            pace = health.offer_pace()  # asked here: in there joins would wait for Redis
            _while_leading(Work.SERVE_TOURNAMENT, tournament_id, lambda: serve(tournament_id, pace))
        except Exception:
            if not connection.is_usable():
                raise  # the database is away for all
            # One tournament's trouble is not the others'; this one is tried again in the next tick.
            logger.exception("Tournament %s can't be served", tournament_id)

    def _publish(self) -> None:
        led = False
        try:
            led = _while_leading(Work.PUBLISH_LINES, 0, self._publish_moves)
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


def serve(tournament_id: int, pace: float | None = None) -> None:
    """What is due in one tournament: lapses first, so that their seats are offered in the same tick."""
    lapse_offers(tournament_id=tournament_id, pace=pace)
    offer_seats(tournament_id=tournament_id, pace=pace)


def _while_leading(work: Work, key: int, act: Callable[[], object]) -> bool:
    """Do the work in one transaction; returns False if another clock is at it."""
    with transaction.atomic():
        if not only_one(work, key):
            return False
        act()
    return True
