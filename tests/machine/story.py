"""A tournament in which everything happens once, in an order in which all of it can: what chance may leave out."""

from collections.abc import Callable
from typing import Any

from lottery.models import Draw
from registrations.rules import LIVE, State
from tests.builders import Mode
from tests.machine.machine import Happenings
from tests.machine.site import BEGIN, HOUR, MINUTE, SECOND


class Story:
    """Tells one step after another, and has everything hold after each."""

    def __init__(self, happenings: type[Happenings]) -> None:
        self.play = happenings()

    def then(self, step: Callable[..., None], *given: Any) -> None:
        step(*given)
        self.play.everything_holds()

    def of(self, entry_id: int, step: Callable[..., None], *states: str) -> None:
        """The step, of this entry among all in such states."""
        self.then(step, [entry.pk for entry in self.play.any_in(*states)].index(entry_id))

    def opens(self) -> None:
        """Eight players join, in drawn modes early enough to be drawn."""
        self.then(self.play.open, 3, self.play.mode != Mode.FIRST_COME, 8, True, [])

    def is_drawn(self) -> None:
        """The entries are sealed and drawn, and nobody is offered a seat yet."""
        tournament = self.play.site.now_is()
        self.play.site.pass_to((tournament.seals_at or tournament.opens_at) + SECOND)
        self.then(self.play.work_off)
        assert self.play.draw_is(Draw.State.DRAWN)

    def until(self, comes: Callable[[], object]) -> None:
        while not comes():
            assert self.play.site.clock.now < BEGIN + 6 * HOUR, "it does not come to pass"
            self.then(self.play.let_pass, 10 * MINUTE)

    def takes_up(self, card: str, *, returns: bool = True) -> int:
        """The first who is offered a seat pays with this card; returns the entry's id."""
        self.until(lambda: self.play.any_in(State.OFFERED))
        entry_id = self.play.pick(0, State.OFFERED).pk
        self.then(self.play.take_up, 0, card, returns)
        return entry_id

    def ends(self) -> None:
        self.play.teardown()


def tell(happenings: type[Happenings]) -> None:
    """All of it. It needs a fee."""
    story = Story(happenings)
    _until_drawn(story)
    _paid_and_given_back(story)
    _over(story)


def _until_drawn(story: Story) -> None:
    play, then = story.play, story.then
    story.opens()
    then(play.verify_address, 7)
    then(play.pause_or_resume)
    then(play.pause_or_resume)
    then(play.change_seats, 2, False, False)
    then(play.change_seats, -1, False, False)
    then(play.change_list, 2)
    if play.site.saves_cards:
        for number in range(8):
            then(play.put_a_card_on_file, number, "good")
    if play.mode != Mode.FIRST_COME:
        story.is_drawn()
        then(play.void_draw)
        then(play.seal_by_hand)


def _paid_and_given_back(story: Story) -> None:
    play, then = story.play, story.then
    gives_back, comes_back = story.takes_up("refunds take a while"), story.takes_up("refunds fail")
    story.takes_up("is disputed")
    story.of(story.takes_up("wants authentication"), play.reject, *LIVE)
    story.of(story.takes_up("good", returns=False), play.leave, State.WAITING, State.OFFERED, State.PASSED)
    for entry in play.any_in(State.WAITING) if play.site.saves_cards else []:
        story.of(entry.pk, play.take_the_card_off, State.WAITING)
    then(play.work)
    story.of(play.pick(0, State.WAITING).pk, play.waive_fee, State.WAITING, State.OFFERED)
    _granted_and_extended(story)
    then(play.webhooks_arrive, "in order")
    then(play.work)
    then(play.review_is_decided, 0, True)
    then(play.stripe_fails, "/v1/refunds*", "after", 1)
    story.of(gives_back, play.give_back, State.CONFIRMED)
    story.of(comes_back, play.give_back, State.CONFIRMED)
    then(play.let_pass, 5 * MINUTE)
    then(play.webhooks_arrive, "in order")
    then(play.dead_letter_is_decided, 0, True)
    then(play.reconcile)


def _granted_and_extended(story: Story) -> None:
    """While the clock dies over it, and Redis forgets the line."""
    play, then = story.play, story.then
    then(play.change_seats, 1, False, False)
    masters = next(e for e in play.any_in(State.WAITING) if play.site.divisions[e.division].code == "masters")
    story.of(masters.pk, play.grant_seat, State.WAITING)
    then(play.extend_offers, 30)
    then(play.something_dies, 3, False)
    then(play.tick, 0)
    then(play.something_dies, 1, True)
    then(play.tick, 1)


def _over(story: Story) -> None:
    """The site is away for a while, somebody misses an offer and steps back in, and all is cancelled."""
    play, then = story.play, story.then
    then(play.be_away, 1)
    story.until(lambda: play.any_in(State.PASSED))
    then(play.step_back_in, 0)
    then(play.cancel_tournament)
    story.ends()


def tell_of_money(happenings: type[Happenings]) -> None:
    """Two pay; one gets a part back, the other gives the seat back."""
    story = Story(happenings)
    play, then = story.play, story.then
    story.opens()
    story.takes_up("good")
    leaves = story.takes_up("good")
    then(play.let_pass, 20 * MINUTE)
    then(play.staff_refund, 0, True)
    story.of(leaves, play.give_back, State.CONFIRMED)
    then(play.let_pass, 20 * MINUTE)
    then(play.reconcile)
    story.ends()
