"""`bin/run --check`: the whole site on throw-away data, and players who walk through it over HTTP.

One seat is confirmed by Stripe's webhook, the player having closed the tab; one by the return page, all webhooks held back. Then
they play a lottery, check its draw with the command that anybody can download, and who drew a seat takes it up.
"""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from vgchub.local.fingerprint import HOUSE
from vgchub.local.folder import LocalFolder
from vgchub.local.ports import free_port
from vgchub.local.running import running_site
from vgchub.local.site import Site
from vgchub.local.visitor import UnexpectedPageError, Visitor, readable

LOTTERY_SECONDS = 15  # enough for three to enter


def check() -> int:
    """Walk, saying each step with its time. Returns 0 if every one of them worked."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vgchub-check-") as name:
        Path(name).chmod(0o711)  # PostgreSQL may run as another user
        folder = LocalFolder(Path(name) / "local")
        with folder.locked(), running_site(folder, port=free_port(), demo=True, say=print, outside={}) as running:
            print(f"Ready after {time.monotonic() - began:.1f} s. Two players set out.")
            worked = _walk(running.site, running.crowd_tournament)
    print(f"{'Everything worked' if worked else 'It did not work'} ({time.monotonic() - began:.1f} s).")
    return 0 if worked else 1


def _walk(site: Site, tournament: str) -> bool:
    try:
        alice = _joined(site, "Alice", tournament)
        _confirmed_by_webhook(site, alice, tournament)
        bob = _joined(site, "Bob", tournament)
        _confirmed_by_return_page(site, bob, tournament)
        carol = _player(site, "Carol", tournament)
        _play_lottery(site, {"Alice": alice, "Bob": bob, "Carol": carol})
        _invariants_hold(site)
    except (UnexpectedPageError, requests.RequestException) as problem:
        print(f"       {problem}\n       Logs of the processes end so:\n{_ends_of_logs(site)}")
        return False
    return True


def _joined(site: Site, name: str, tournament: str) -> Visitor:
    """A new player with an account, in line, with a seat on offer."""
    visitor = _player(site, name, tournament)
    with _step(f"{name} joins the line"):
        visitor.open(f"/t/{tournament}/")
        visitor.submit(f"/t/{tournament}/join/")
    with _step(f"{name} is offered a seat"):
        visitor.wait_for(f"/t/{tournament}/queue/", form="/take-up/")
    return visitor


def _player(site: Site, name: str, tournament: str) -> Visitor:
    """Somebody who has found the tournament and made an account, with a player."""
    visitor = Visitor(site.url)
    email = _email(name)
    with _step(f"{name} finds the tournament"):
        visitor.open("/")
        visitor.open(f"/t/{tournament}/")
    with _step(f"{name} makes an account"):
        visitor.open(f"/accounts/signup/?next=/t/{tournament}/")
        visitor.submit("/accounts/signup/", email=email, password1=secrets.token_urlsafe(12), terms="on")
    with _step(f"{name} types the code from the mail"):
        code = _code_from_mail(site, email)
        visitor.open("/account/email/code/")
        visitor.submit("/account/email/code/", code=code)
    with _step(f"{name} says who plays"):
        visitor.open(f"/account/players/add/?next=/t/{tournament}/")
        number = str(10**11 + secrets.randbelow(10**11))
        visitor.submit(
            "/account/players/add/", display_name=name, player_id=number, birth_date="2000-02-29", country="DE"
        )
    return visitor


def _email(name: str) -> str:
    return f"{name.lower()}@players.example"


def _code_from_mail(site: Site, email: str) -> str:
    """The code of six digits in the newest mail to this address, as the local mailbox shows it."""
    mailbox = Visitor(site.url)
    mailbox.wait_for(f"/local/mailbox/?to={email}", text=email)
    newest = re.search(r"/local/mailbox/\d+/", mailbox.page)
    if newest is None:
        raise UnexpectedPageError(f"No mail to {email}: {readable(mailbox.page)}")
    mailbox.open(newest[0])
    code = re.search(r"\b\d{6}\b", readable(mailbox.page))
    if code is None:
        raise UnexpectedPageError(f"No code in the mail: {readable(mailbox.page)}")
    return code[0]


def _confirmed_by_webhook(site: Site, visitor: Visitor, tournament: str) -> None:
    with _step("Alice pays on Stripe's page and closes the tab"):
        visitor.submit("/take-up/")
        _pay(visitor, follow=False)
    with _step("the webhook confirms her seat"):
        visitor.url = site.url
        visitor.wait_for(f"/t/{tournament}/queue/", text="/ticket/")
    with _step("Alice opens her ticket"):
        path = next(part for part in visitor.page.split('"') if part.endswith("/ticket/"))
        visitor.open(path)


def _confirmed_by_return_page(site: Site, visitor: Visitor, tournament: str) -> None:
    with _step("Stripe's webhooks are held back"):
        stripe = site.environment["STRIPE_API_BASE"]
        requests.post(f"{stripe}/_control/webhooks", json={"held": True}, timeout=10).raise_for_status()
    with _step("Bob pays, and the page he returns to confirms his seat"):
        visitor.submit("/take-up/")
        _pay(visitor)
    with _step("Bob holds a ticket"):
        visitor.open(f"{site.url}/t/{tournament}/queue/")
        visitor.expect("/ticket/")
    with _step("the webhooks come late and change nothing"):
        requests.post(f"{stripe}/_control/webhooks", json={"held": False}, timeout=10).raise_for_status()
        visitor.wait_for(f"/t/{tournament}/queue/", text="/ticket/")


def _play_lottery(site: Site, visitors: dict[str, Visitor]) -> None:
    """Two seats, and one more player than seats."""
    with _step(f"a lottery of two seats opens for {LOTTERY_SECONDS} seconds"):
        tournament = _manage(site, "demo", f"--lottery={LOTTERY_SECONDS}").strip()
    for name, visitor in visitors.items():
        with _step(f"{name} enters it and reads what will be drawn"):
            visitor.open(f"{site.url}/t/{tournament}/")
            visitor.submit(f"/t/{tournament}/join/")
            visitor.open(f"/t/{tournament}/draw/")
            visitor.expect("Commitment")
    last = visitor
    with _step("the entries are sealed and drawn, and the page shows it"):
        last.wait_for(f"/t/{tournament}/draw/", text="/bundle.json", patience=LOTTERY_SECONDS + 20)
    with _step(f"{name} downloads the draw and the verifier, and it holds"):
        _verify(site, last)
    with _step("each finds in the mail what was sealed"):
        for name in visitors:
            Visitor(site.url).wait_for(f"/local/mailbox/?to={_email(name)}", text="You are in the draw")
    with _step("who drew a seat is offered it and takes it up, and nobody else"):
        _seats_taken_up(visitors, tournament)


def _verify(site: Site, visitor: Visitor) -> None:
    page = visitor.page
    bundle, verifier, sha256 = (
        _found(pattern, page)
        for pattern in (
            r"/draws/[0-9a-f]{24}/bundle\.json",
            r"/static/verify_draw[.\w]*\.py",
            r'data-sha256="([0-9a-f]{64})"',
        )
    )
    files = []
    for name, path in (("verify_draw.py", verifier), ("bundle.json", bundle)):
        visitor.open(path)
        file = site.folder / name
        file.write_text(visitor.page)
        files.append(str(file))
    _run([sys.executable, *files, "--sha256", sha256], {})


def _found(pattern: str, page: str) -> str:
    found = re.search(pattern, page)
    if found is None:
        raise UnexpectedPageError(f"No {pattern} on the page: {readable(page)[:1000]}")
    return found[found.re.groups]


def _seats_taken_up(visitors: dict[str, Visitor], tournament: str) -> None:
    queue = f"/t/{tournament}/queue/"
    deadline = time.monotonic() + 20
    winners: list[Visitor] = []
    while len(winners) < 2:
        if time.monotonic() > deadline:
            raise UnexpectedPageError(f"{len(winners)} of 2 seats are offered after 20 s")
        for visitor in visitors.values():
            visitor.open(queue)
        winners = [visitor for visitor in visitors.values() if visitor.has_form("/take-up/")]
    for winner in winners:
        winner.submit("/take-up/")
        winner.wait_for(queue, text="/ticket/")
    (other,) = (visitor for visitor in visitors.values() if visitor not in winners)
    other.open(queue)
    if other.has_form("/take-up/"):
        raise UnexpectedPageError("A third seat of two is offered")


def _pay(visitor: Visitor, *, follow: bool = True) -> None:
    visitor.submit("/c/pay/", follow=follow, number="4242424242424242", expiry="12/40", cvc="123")


def _invariants_hold(site: Site) -> None:
    with _step("what must always be true is true"):
        _manage(site, "check_invariants")


def _manage(site: Site, *argv: str) -> str:
    """Run `manage.py ...`; returns what it printed."""
    return _run(*site.step(*argv))


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        command, env={**os.environ, **environment}, cwd=HOUSE, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnexpectedPageError(done.stdout + done.stderr)
    return done.stdout


@contextmanager
def _step(name: str) -> Iterator[None]:
    began = time.monotonic()
    worked = False
    try:
        yield
        worked = True
    finally:
        print(f"{'ok    ' if worked else 'FAILED'} {time.monotonic() - began:5.2f} s  {name}", flush=True)


def _ends_of_logs(site: Site) -> str:
    logs = [site.folder / "log" / f"{name}.log" for name in ("web", "clock", "worker", "simulator")]
    ends = ((log.name, log.read_text(errors="replace").splitlines()[-12:]) for log in logs)
    return "\n".join(f"--- {name}\n" + "\n".join(lines) for name, lines in ends if lines)
