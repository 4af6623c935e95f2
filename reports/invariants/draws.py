"""I10 and I11: anybody gets the same from what was sealed, and seats were offered down the order that was drawn."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from hashlib import sha256

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from lottery import beacon
from lottery.drawing import Keys, Result, bundle_pieces, commitment_of, entropy_bytes, manifest_pieces, seed_of
from lottery.models import Draw, DrawEntry, DrawFile
from lottery.queries import (
    CHUNK,
    divisions_of,
    file_of,
    head_of,
    in_order,
    plain_bytes,
    ranked_in,
    ranking,
    sealed_entries,
)
from reports.invariants.asking import Invariant, exceptions, of_tournament
from tournaments.queries import database_now

# Every five minutes, the draws of the last day are computed again, as many as have so many entries together; of the others it is
# looked at what is one row each. All of all draws is computed when somebody asks: manage.py check_invariants.
WATCHED_ENTRIES = 50_000
WATCHED_FOR = timedelta(days=1)

# Whoever leaves holds no lock of the tournament: an offer that was being made when they left may be the earlier by the clock.
LEFT_GRACE_SECONDS = 10

# --- I10: the same bytes -------------------------------------------------------------------------------------


def differing(tournament_id: int | None) -> list[str]:
    """Compute every draw again, in little memory: about a minute for a million entries."""
    draws = Draw.objects.select_related("tournament", "supersedes").order_by("pk")
    if tournament_id is not None:
        draws = draws.filter(tournament=tournament_id)
    return [sentence for draw in draws.iterator() for sentence in [*_wrong_facts(draw), *_wrong_when_computed(draw)]]


def differing_lately() -> list[str]:
    """The same of the last day's draws, as far as it is quickly done; of the others what needs no look at their entries."""
    found: list[str] = []
    entries, since = 0, database_now() - WATCHED_FOR
    for draw in Draw.objects.select_related("tournament", "supersedes").order_by("-pk").iterator():
        found += _wrong_facts(draw)
        if (draw.drawn_at or draw.sealed_at or since) > since and entries + (draw.entrants or 0) <= WATCHED_ENTRIES:
            entries += draw.entrants or 0
            found += _wrong_when_computed(draw)
    return found


def _wrong_facts(draw: Draw) -> Iterator[str]:
    """What can be seen wrong without a look at the entries."""
    if not draw.uses_drand and commitment_of(_bytes(draw.secret)).hex() != draw.commitment:
        yield _said(draw, _("its secret is not the one that it committed to"))
    if draw.sealed_at is None:
        return
    file = file_of(draw, DrawFile.Name.MANIFEST)
    if file is None or file.sha256 != draw.manifest_sha256:
        yield _said(draw, _("its manifest is not the one whose hash was published"))
    if draw.drawn_at is None:
        return
    if draw.uses_drand and sha256(_bytes(draw.signature)).hexdigest() != draw.randomness:
        yield _said(draw, _("its randomness does not follow from the signature"))
    try:
        seed = seed_of(_bytes(draw.manifest_sha256), entropy_bytes(draw.revealed())).hex()
    except ValueError:
        seed = ""
    if seed != draw.seed:
        yield _said(draw, _("its seed does not follow from manifest and entropy"))


def _wrong_when_computed(draw: Draw) -> Iterator[str]:
    if draw.sealed_at is None:
        return
    yield from _wrong_file(draw, DrawFile.Name.MANIFEST, manifest_pieces(head_of(draw), sealed_entries(draw)))
    if draw.entries.count() != draw.entrants:
        yield _said(draw, _("it has not as many entries as were sealed"))
    if draw.drawn_at is None:
        return
    if draw.uses_drand and not _is_genuine(draw):
        yield _said(draw, _("its round of drand is not signed by its chain"))
    yield from _wrong_keys(draw)
    yield from _wrong_ranks(draw)
    if file_of(draw, DrawFile.Name.BUNDLE):
        yield from _wrong_file(draw, DrawFile.Name.BUNDLE, _bundle(draw))


def _wrong_file(draw: Draw, name: DrawFile.Name, pieces: Iterable[bytes]) -> Iterator[str]:
    """Whether the bytes that are sent to whoever asks, and those that the rows come to, have the hash that was published."""
    file = file_of(draw, name)
    if file is None:
        return
    if _digest(plain_bytes(file)) != file.sha256:
        yield _said(draw, _("the bytes of its %(file)s are not those that were published") % {"file": name.label})
    if _digest(pieces) != file.sha256:
        yield _said(draw, _("its rows come to another %(file)s") % {"file": name.label})


def _digest(pieces: Iterable[bytes]) -> str:
    """SHA-256 of all together; empty for what can't be unpacked or is no manifest at all."""
    digest = sha256()
    try:
        for piece in pieces:
            digest.update(piece)
    except (zlib.error, ValueError):
        return ""
    return digest.hexdigest()


def _bundle(draw: Draw) -> Iterator[bytes]:
    manifest = draw.files.get(name=DrawFile.Name.MANIFEST)
    result = Result(divisions_of(draw), _bytes(draw.manifest_sha256), draw.revealed(), _bytes(draw.seed))
    return bundle_pieces(result, plain_bytes(manifest), ranking(draw), lambda code: ranked_in(draw, code))


def _is_genuine(draw: Draw) -> bool:
    try:
        chain = beacon.chain_named(draw.chain)
    except beacon.BeaconAwayError:
        return False
    return beacon.is_genuine(chain, beacon.Beacon(draw.round or 0, draw.randomness, draw.signature))


def _wrong_keys(draw: Draw) -> Iterator[str]:
    """The first key that is not the smallest of its entry's tickets."""
    keys, last = Keys(_bytes(draw.seed)), 0
    rows = DrawEntry.objects.filter(draw=draw).order_by("pk").values_list("pk", "entry__public_id", "tickets", "key")
    while chunk := list(rows.filter(pk__gt=last)[:CHUNK]):
        for pk, public_id, tickets, key in chunk:
            last = pk
            if keys.of(public_id, tickets) != bytes(key or b""):
                yield _said(draw, _("the key of %(entry)s is not the one that its seed gives") % {"entry": public_id})
                return


def _wrong_ranks(draw: Draw) -> Iterator[str]:
    """The first entry that does not stand where its key puts it."""
    rows = DrawEntry.objects.filter(draw=draw).order_by("rank")
    before, expected, by_division = (b"", ""), 0, Counter[str]()
    for rank, key, public_id, division, division_rank in in_order(
        rows.values_list("rank", "key", "entry__public_id", "division", "division_rank"), "rank"
    ):
        expected += 1
        by_division[division] += 1
        if (rank, division_rank) != (expected, by_division[division]) or (bytes(key), public_id) <= before:
            yield _said(draw, _("%(entry)s does not stand where its key puts it") % {"entry": public_id})
            return
        before = (bytes(key), public_id)
    if expected != draw.entrants:
        yield _said(draw, _("its ranks end at %(rank)s") % {"rank": expected})


def _bytes(digits: str) -> bytes:
    """Nothing for what is not hex."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _said(draw: Draw, what: str) -> str:
    return _("%(slug)s: draw %(draw)s: %(what)s.") % {"slug": draw.tournament.slug, "draw": draw, "what": what}


# --- I11: down the order -------------------------------------------------------------------------------------

# The draws that stand; when watching, those by which seats may still be offered.
STANDING = f"""
    SELECT w.id AS draw_id, w.state, w.entrants, w.drawn_at, w.kind, t.id AS tournament_id, t.slug, t.objection_minutes
    FROM lottery_draw w
    JOIN tournaments_tournament t ON t.id = w.tournament_id
    WHERE w.state IN ('SEALED', 'DRAWN') AND {of_tournament("t.id")}
      AND (NOT %(watching)s OR t.offers_end_at > statement_timestamp() - interval '1 day')
"""  # noqa: S608  only conditions of ours are put in, here and below

MISPLACED = f"""
WITH standing AS MATERIALIZED ({STANDING})
SELECT r.slug, e.public_id, e.place, d.rank - r.entrants - 1 AS expected
FROM standing r
JOIN lottery_drawentry d ON d.draw_id = r.draw_id
JOIN registrations_queueentry e ON e.id = d.entry_id
WHERE r.state = 'DRAWN'
  AND (e.tournament_id <> r.tournament_id
       OR e.place IS DISTINCT FROM d.rank - r.entrants - 1
          AND (e.place IS NOT NULL OR e.ended_at IS NULL OR e.ended_at > r.drawn_at))
ORDER BY 1, d.rank
"""  # noqa: S608

# Whoever waits without a place is in the draw that is to come, or was left out of it with a reason.
NOWHERE = f"""
WITH standing AS MATERIALIZED ({STANDING})
SELECT r.slug, e.public_id, e.joined_at
FROM standing r
JOIN registrations_queueentry e ON e.tournament_id = r.tournament_id AND e.state = 'WAITING' AND e.place IS NULL
WHERE r.state = 'DRAWN'
   OR (NOT EXISTS (SELECT FROM lottery_drawentry d WHERE d.draw_id = r.draw_id AND d.entry_id = e.id)
       AND NOT EXISTS (SELECT FROM lottery_leftout l WHERE l.draw_id = r.draw_id AND l.entry_id = e.id))
ORDER BY 1, e.number
"""  # noqa: S608

# Every offer but those that were granted by hand, with the seat as it was then.
OFFERS = f"""
standing AS MATERIALIZED ({STANDING}), offer AS MATERIALIZED (
    SELECT DISTINCT ON (e.pgh_obj_id, e.offer_number)
           r.*, e.pgh_obj_id AS entry_id, e.public_id, e.division_id, e.group_id, e.offer_number, e.offered_at,
           coalesce(d.rank, r.entrants + 1) AS rank, d.rank IS NOT NULL AS is_drawn, seat.reserved_for_id
    FROM standing r
    JOIN registrations_queueentryevent e ON e.tournament_id = r.tournament_id AND e.state = 'OFFERED'
    LEFT JOIN lottery_drawentry d ON d.draw_id = r.draw_id AND d.entry_id = e.pgh_obj_id
    JOIN LATERAL (SELECT s.reserved_for_id FROM tournaments_seatevent s
                  WHERE s.pgh_obj_id = e.seat_id
                  ORDER BY s.pgh_created_at <= e.offered_at DESC, s.pgh_id DESC LIMIT 1) seat ON true
    WHERE e.grant_reason = ''
    ORDER BY e.pgh_obj_id, e.offer_number, e.pgh_id
)
"""  # noqa: S608

# Nobody is offered a seat before the order stands for good.
TOO_EARLY = f"""
WITH {OFFERS}
SELECT slug, public_id, offered_at
FROM offer
WHERE state = 'SEALED'
   OR offered_at < drawn_at + make_interval(mins => CASE WHEN kind = 'lottery' THEN objection_minutes ELSE 0 END)
ORDER BY 1, offer_number
"""  # noqa: S608

# The allocation: down the ranking of a division, an open seat goes to whoever comes next, a reserved one to the next of its group;
# and whoever was not drawn comes after all. So nobody who was drawn may see an open seat, or one of the own reserve, offered
# further down before the own first offer. Who left sees nothing any more; and it says nothing of those who were granted a seat,
# stepped back in after a miss (I8 looks at them), or whose Player ID came to be disputed.
STEPPED_OVER = f"""
WITH {OFFERS}, furthest AS MATERIALIZED (
    SELECT draw_id, division_id, reserved_for_id, max(rank) AS rank FROM offer GROUP BY 1, 2, 3
), turn AS (
    SELECT draw_id, entry_id, division_id, group_id, rank, reserved_for_id, offer_number, true AS offered, offered_at AS at,
           is_drawn AND offer_number = min(offer_number) OVER (PARTITION BY draw_id, entry_id) AS counts
    FROM offer
    UNION ALL
    SELECT d.draw_id, e.id, e.division_id, e.group_id, d.rank, NULL, NULL, false,
           coalesce(e.ended_at - make_interval(secs => %(left_grace)s), 'infinity'), true
    FROM standing r
    JOIN lottery_drawentry d ON d.draw_id = r.draw_id
    JOIN registrations_queueentry e ON e.id = d.entry_id AND e.offer_number IS NULL
    WHERE EXISTS (SELECT FROM furthest f
                  WHERE f.draw_id = d.draw_id AND f.division_id = e.division_id AND f.rank > d.rank
                    AND (f.reserved_for_id IS NULL OR f.reserved_for_id = e.group_id))
), seen AS (
    SELECT *,
        max(rank) FILTER (WHERE offered AND reserved_for_id IS NULL) OVER (
            PARTITION BY draw_id, division_id ORDER BY at, offer_number
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS open_went_to,
        max(rank) FILTER (WHERE offered AND reserved_for_id IS NOT NULL) OVER (
            PARTITION BY draw_id, division_id, group_id ORDER BY at, offer_number
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reserved_went_to
    FROM turn
)
SELECT r.slug, e.public_id, s.rank, other.public_id AS other, other.offer_number
FROM seen s
JOIN standing r ON r.draw_id = s.draw_id
JOIN registrations_queueentry e ON e.id = s.entry_id
JOIN tournaments_division v ON v.id = s.division_id
JOIN lottery_drawentry d ON d.draw_id = s.draw_id AND d.entry_id = s.entry_id AND d.division = v.code
JOIN accounts_player player ON player.id = e.player_id
JOIN accounts_user u ON u.id = player.account_id AND u.email_verified_at <= r.drawn_at
JOIN LATERAL (
    SELECT o.public_id, o.offer_number FROM offer o
    WHERE o.draw_id = s.draw_id AND o.division_id = s.division_id AND o.rank > s.rank
      AND (o.reserved_for_id IS NULL OR o.reserved_for_id = s.group_id)
      AND CASE WHEN s.offered THEN o.offer_number < s.offer_number ELSE o.offered_at < s.at END
    ORDER BY o.offer_number LIMIT 1
) other ON true
WHERE s.counts AND greatest(s.open_went_to, s.reserved_went_to) > s.rank AND e.grant_reason = ''
  AND player.player_id_state <> 'DISPUTED'
  AND NOT EXISTS (SELECT FROM accounts_playerevent p WHERE p.pgh_obj_id = e.player_id AND p.player_id_state = 'DISPUTED')
ORDER BY r.slug, s.rank
"""  # noqa: S608


def out_of_order(tournament_id: int | None, *, watching: bool = False) -> list[str]:
    return [
        *exceptions(
            MISPLACED,
            _("%(slug)s: entry %(public_id)s stands at place %(place)s, and its rank says %(expected)s."),
            tournament_id,
            watching=watching,
        ),
        *exceptions(
            NOWHERE,
            _("%(slug)s: entry %(public_id)s of %(joined_at)s waits for a draw that it is neither in nor left out of."),
            tournament_id,
            watching=watching,
        ),
        *exceptions(
            TOO_EARLY,
            _("%(slug)s: entry %(public_id)s was offered a seat at %(offered_at)s, before the order stood for good."),
            tournament_id,
            watching=watching,
        ),
        *exceptions(
            STEPPED_OVER,
            _(
                "%(slug)s: entry %(public_id)s of rank %(rank)s could have taken the seat that %(other)s, further down, "
                "was offered with number %(offer_number)s."
            ),
            tournament_id,
            watching=watching,
            left_grace=LEFT_GRACE_SECONDS,
        ),
    ]


def out_of_order_lately() -> list[str]:
    return out_of_order(None, watching=True)


INVARIANTS = (
    Invariant("I10", gettext_lazy("A sealed draw re-computes to the same bytes."), differing, differing_lately),
    Invariant(
        "I11",
        gettext_lazy("Places are as they were drawn, and seats were offered down the ranks, reserved ones first."),
        out_of_order,
        out_of_order_lately,
    ),
)
