"""What signals see of entries, in sets: one statement counts for ten thousand entries as for one.

Only counts come out, never an address or whose it is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import EMAIL_ALIKE
from payments.models import SignalRule
from payments.rules import SIGNALS, Signal, SignalDefaults


@dataclass(frozen=True)
class Sighting:
    """A signal that an entry raises; `says` tells what was seen, with counts alone."""

    code: Signal
    points: int
    says: str

    def as_kept(self) -> dict[str, Any]:
        """As it stands in `Review.signals`."""
        return {"code": str(self.code), "points": self.points, "says": self.says}


def signals_in_force() -> dict[Signal, SignalDefaults]:
    """How each signal counts: as its row says, without one by default; those that staff switched off are left out."""
    rows = {Signal(row.code): row for row in SignalRule.objects.all()}
    return {
        code: SignalDefaults(row.limit, row.within_minutes, row.points) if row else default
        for code, default in SIGNALS.items()
        if (row := rows.get(code)) is None or row.is_on
    }


# The entries that are looked at. Look-alike e-mails have the same `alike`: none where too little is left to compare.
ALIKE = EMAIL_ALIKE % {"expressions": "u.email"}
CHOSEN = f"""
WITH entry AS NOT MATERIALIZED (
    SELECT e.id, e.tournament_id, e.address_hash, e.device_hash, e.joined_at, p.account_id
    FROM registrations_queueentry e JOIN accounts_player p ON p.id = e.player_id
),
chosen AS MATERIALIZED (SELECT * FROM entry WHERE id = ANY(%(entries)s)),
tournament AS MATERIALIZED (SELECT DISTINCT tournament_id FROM chosen),
address AS NOT MATERIALIZED (
    SELECT e.id, e.tournament_id, e.account_id, e.joined_at, {ALIKE} AS alike
    FROM entry e JOIN accounts_user u ON u.id = e.account_id
    WHERE length(split_part({ALIKE}, '@', 1)) >= 3
),
print AS NOT MATERIALIZED (
    SELECT entry_id, card_fingerprint AS fingerprint, authorised_at AS at FROM payments_payment
    WHERE card_fingerprint <> ''
    UNION ALL
    SELECT entry_id, fingerprint, saved_at FROM payments_savedcard WHERE fingerprint <> ''
)
"""  # noqa: S608  a fragment of our own

# For each signal the entries that raise it, and the number that did: (entry id, code, number).
# `since` is when its time began: what is older does not count.
COUNTS: dict[Signal, str] = {
    # Stripe gives a score with Radar for Fraud Teams alone; a level, which begins at a score, with every charge.
    Signal.RISK: """
        SELECT entry_id, max(score)::bigint FROM (
            SELECT entry_id, authorised_at,
                   coalesce(risk_score, CASE risk_level WHEN 'elevated' THEN 65 WHEN 'highest' THEN 75 END) AS score
            FROM payments_payment WHERE entry_id = ANY(%(entries)s)
        ) charge
        WHERE authorised_at >= {since}
        GROUP BY entry_id HAVING max(score) >= {limit}
    """,
    Signal.CARD: """
        SELECT own.entry_id, max(shared.number)
        FROM print own JOIN (
            SELECT print.fingerprint, count(DISTINCT entry.account_id) AS number
            FROM print JOIN entry ON entry.id = print.entry_id
            WHERE print.at >= {since} AND print.fingerprint IN (
                SELECT fingerprint FROM print WHERE entry_id = ANY(%(entries)s)
            )
            GROUP BY print.fingerprint HAVING count(DISTINCT entry.account_id) >= {limit}
        ) shared USING (fingerprint)
        WHERE own.entry_id = ANY(%(entries)s)
        GROUP BY own.entry_id
    """,
    Signal.ADDRESS: """
        SELECT chosen.id, shared.number
        FROM chosen JOIN (
            SELECT tournament_id, address_hash, count(DISTINCT account_id) AS number
            FROM entry JOIN tournament USING (tournament_id)
            WHERE joined_at >= {since} AND address_hash IN (SELECT address_hash FROM chosen WHERE address_hash <> '')
            GROUP BY tournament_id, address_hash HAVING count(DISTINCT account_id) >= {limit}
        ) shared USING (tournament_id, address_hash)
    """,
    # What a browser calls itself is the same for thousands; only together with where it is it stands for one device.
    Signal.DEVICE: """
        SELECT chosen.id, shared.number
        FROM chosen JOIN (
            SELECT tournament_id, address_hash, device_hash, count(DISTINCT account_id) AS number
            FROM entry JOIN tournament USING (tournament_id)
            WHERE joined_at >= {since} AND device_hash <> ''
              AND address_hash IN (SELECT address_hash FROM chosen WHERE address_hash <> '')
            GROUP BY tournament_id, address_hash, device_hash HAVING count(DISTINCT account_id) >= {limit}
        ) shared USING (tournament_id, address_hash, device_hash)
    """,
    Signal.LOOKALIKE: """
        SELECT own.id, shared.number - 1
        FROM (SELECT address.* FROM address WHERE id = ANY(%(entries)s)) own JOIN (
            SELECT tournament_id, alike, count(DISTINCT account_id) AS number
            FROM address JOIN tournament USING (tournament_id)
            WHERE joined_at >= {since} AND alike IN (SELECT alike FROM address WHERE id = ANY(%(entries)s))
            GROUP BY tournament_id, alike HAVING count(DISTINCT account_id) > {limit}
        ) shared USING (tournament_id, alike)
    """,
    Signal.VELOCITY: """
        SELECT chosen.id, refused.number
        FROM chosen JOIN (
            SELECT entry.account_id, count(*) AS number
            FROM payments_stripeevent event
            JOIN payments_payment payment ON payment.id = event.payment_id
            JOIN entry ON entry.id = payment.entry_id
            WHERE event.type = 'payment_intent.payment_failed' AND event.received_at >= {since}
              AND entry.account_id IN (SELECT account_id FROM chosen)
            GROUP BY entry.account_id HAVING count(*) >= {limit}
        ) refused USING (account_id)
    """,
    Signal.WARNING: """
        SELECT payment.entry_id, count(DISTINCT event.object_id)
        FROM payments_stripeevent event JOIN payments_payment payment ON payment.id = event.payment_id
        WHERE event.type = 'radar.early_fraud_warning.created' AND event.received_at >= {since}
          AND payment.entry_id = ANY(%(entries)s)
        GROUP BY payment.entry_id HAVING count(DISTINCT event.object_id) >= {limit}
    """,
    Signal.DISPUTE: """
        SELECT payment.entry_id, count(*)
        FROM payments_dispute dispute JOIN payments_payment payment ON payment.id = dispute.payment_id
        WHERE dispute.opened_at >= {since} AND payment.entry_id = ANY(%(entries)s)
        GROUP BY payment.entry_id HAVING count(*) >= {limit}
    """,
}


def sightings_of(entry_ids: Sequence[int]) -> dict[int, list[Sighting]]:
    """The signals that these entries raise as of now, by entry id; entries that raise none are left out."""
    rules = signals_in_force()
    seen: dict[int, list[Sighting]] = defaultdict(list)
    if not entry_ids or not rules:
        return seen
    statement, values = _statement(rules)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"entries": list(entry_ids), **values})
        for entry_id, code, number in cursor.fetchall():
            rule = rules[Signal(code)]
            seen[entry_id].append(Sighting(Signal(code), rule.points, in_words(Signal(code), number, rule)))
    return seen


def _statement(rules: Mapping[Signal, SignalDefaults]) -> tuple[str, dict[str, Any]]:
    """One statement for all signals in force, and its values."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    for code, rule in rules.items():
        since = (
            f"statement_timestamp() - make_interval(mins => %({code}_minutes)s)"
            if rule.within_minutes
            else "'-infinity'::timestamptz"
        )
        counts = COUNTS[code].format(since=since, limit=f"%({code}_limit)s")
        parts.append(f"SELECT found.entry, '{code}', found.number FROM ({counts}) AS found (entry, number)")  # noqa: S608  our own words
        values |= {f"{code}_minutes": rule.within_minutes, f"{code}_limit": rule.limit}
    return f"{CHOSEN} {' UNION ALL '.join(parts)} ORDER BY 1, 2", values


def in_words(code: Signal, number: int, rule: SignalDefaults) -> str:
    """What was seen, as staff read it."""
    return _saying(code, number) % {"n": number, "minutes": rule.within_minutes}


def _saying(code: Signal, number: int) -> str:
    match code:
        case Signal.RISK:
            return _(
                "Stripe rates the risk of the charge %(n)d of 100 (65 begins what it calls elevated, 75 the highest)."
            )
        case Signal.CARD:
            return ngettext(
                "One card paid for entries of %(n)d account.", "One card paid for entries of %(n)d accounts.", number
            )
        case Signal.ADDRESS:
            return ngettext(
                "%(n)d account entered this tournament from one internet address.",
                "%(n)d accounts entered this tournament from one internet address.",
                number,
            )
        case Signal.DEVICE:
            return ngettext(
                "%(n)d account entered this tournament from what looks like one device.",
                "%(n)d accounts entered this tournament from what looks like one device.",
                number,
            )
        case Signal.LOOKALIKE:
            return ngettext(
                "%(n)d other account in this tournament has nearly the same e-mail address.",
                "%(n)d other accounts in this tournament have nearly the same e-mail address.",
                number,
            )
        case _:
            return _of_charges(code, number)


def _of_charges(code: Signal, number: int) -> str:
    match code:
        case Signal.VELOCITY:
            return ngettext(
                "A card was refused %(n)d time for this account in a short time.",
                "Cards were refused %(n)d times for this account in a short time.",
                number,
            )
        case Signal.WARNING:
            return _("The card's bank reports the charge as fraud.")
        case Signal.DISPUTE:
            return _("The cardholder disputes the charge.")
    raise ValueError(code)
