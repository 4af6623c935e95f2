"""`bin/run --check`: the whole site on throw-away data, and two players who walk through it over HTTP.

One seat is confirmed by Stripe's webhook, the player having closed the tab; one by the return page, all webhooks held back.
"""

import os
import re
import secrets
import subprocess
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
        _invariants_hold(site)
    except (UnexpectedPageError, requests.RequestException) as problem:
        print(f"       {problem}\n       Logs of the processes end so:\n{_ends_of_logs(site)}")
        return False
    return True


def _joined(site: Site, name: str, tournament: str) -> Visitor:
    """A new player with an account, in line."""
    visitor = Visitor(site.url)
    email = f"{name.lower()}@players.example"
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
    with _step(f"{name} joins the line"):
        visitor.open(f"/t/{tournament}/")
        visitor.submit(f"/t/{tournament}/join/")
    with _step(f"{name} is offered a seat"):
        visitor.wait_for(f"/t/{tournament}/queue/", form="/take-up/")
    return visitor


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


def _pay(visitor: Visitor, *, follow: bool = True) -> None:
    visitor.submit("/c/pay/", follow=follow, number="4242424242424242", expiry="12/40", cvc="123")


def _invariants_hold(site: Site) -> None:
    with _step("what must always be true is true"):
        command, environment = site.step("check_invariants")
        done = subprocess.run(  # noqa: S603 - our own command
            command, env={**os.environ, **environment}, cwd=HOUSE, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UnexpectedPageError(done.stdout + done.stderr)


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
