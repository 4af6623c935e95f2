"""The HTML of the hosted pages. Everything that comes from outside is escaped here."""

from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from simulator.cards import CARDS, GROUPS, LATER, TestCard
from simulator.entry import CardError
from simulator.store import Json, new_id

HERE = Path(__file__).parent / "templates"
NO_DECIMALS = {
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "ugx",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
}
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
POLICY = (
    "default-src 'none'; style-src 'nonce-NONCE'; script-src 'nonce-NONCE'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'"
)
MERCHANT = "VGC Hub (simulated)"


@cache
def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _fill(template: str, /, **values: str) -> str:
    return Template(_read(template)).substitute(values)


def layout(title: str, body: str) -> tuple[str, dict[str, str]]:
    """The whole page and the headers that let nothing but itself run in it."""
    nonce = new_id("", 20)
    html = _fill(
        "layout.html",
        title=escape(title),
        body=body,
        nonce=nonce,
        style=_read("style.css"),
        script=_read("pay.js"),
    )
    policy = POLICY.replace("NONCE", nonce)
    return html, {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }


def money(amount: int, currency: str) -> str:
    symbol = SYMBOLS.get(currency, currency.upper() + " ")
    return f"{symbol}{amount:,}" if currency in NO_DECIMALS else f"{symbol}{amount / 100:,.2f}"


def title_of(session: Json) -> str:
    return "Save your card" if session["mode"] == "setup" else "Pay"


def pay(session: Json, *, form: dict[str, str], problem: CardError | None = None, declined: str = "") -> str:
    """The card form, filled with what was entered before, under the reason why it didn't work."""
    message = problem.message if problem else declined
    shown = f'<p class="problem" role="alert">{escape(message)}</p>' if message else ""
    ends = datetime.fromtimestamp(session["expires_at"], tz=UTC)
    fields = {name: escape(form.get(name, "")) for name in ("email", "number", "expiry", "cvc", "name")}
    invalid = {f"{name}_invalid": "" for name in ("number", "expiry", "cvc")}
    if problem:
        invalid[f"{problem.field}_invalid"] = ' aria-invalid="true"'
    return _fill(
        "pay.html",
        merchant=MERCHANT,
        items="".join(_item(item) for item in session["_line_items"]),
        ends=ends.strftime("%H:%M UTC on %-d %B"),
        ends_iso=ends.isoformat(),
        back=_link(session["cancel_url"], "Cancel and go back", "back"),
        problem=shown,
        session=session["id"],
        cards="".join(_group(session, group) for group in GROUPS),
        **_words(session),
        **fields,
        **invalid,
    )


def _words(session: Json) -> dict[str, str]:
    """What the page says about the money."""
    if session["mode"] == "setup":
        note = "The seller may charge this card later, for what you agreed to there. Nothing is charged now."
        return {"amount": "Save your card", "note": note, "heading": "Your card", "button": "Save card"}
    amount = money(session["amount_total"], session["currency"])
    later = session["_payment_intent_data"]["capture_method"] == "manual"
    note = "The card is authorised now, and charged only when the seller confirms." if later else ""
    return {"amount": amount, "note": note, "heading": "Pay with card", "button": f"Pay {amount}"}


def _group(session: Json, group: str) -> str:
    """The test cards of one kind. Those whose trouble comes later are folded away: the list is long on a phone."""
    rows = "".join(_card(session, card) for card in CARDS if card.group == group)
    opened = "" if group == LATER else " open"
    return f'<details class="group"{opened}><summary>{escape(group)}</summary><ul class="cards">{rows}</ul></details>'


def _item(item: Json) -> str:
    about = f'<span class="quiet">{escape(item["_about"])}</span>' if item["_about"] else ""
    times = f" &times; {item['quantity']}" if item["quantity"] > 1 else ""
    total = money(item["amount_total"], item["currency"])
    return f"<li><span>{escape(item['description'])}{times}{about}</span><span>{total}</span></li>"


def _card(session: Json, card: TestCard) -> str:
    """A link that fills the form without JavaScript; with it the page stays."""
    example = example_of(card)
    data = "".join(f' data-{name}="{value}"' for name, value in example.items())
    url = f"/c/pay/{session['id']}?card={card.number}"
    return f'<li><a href="{url}"{data}><code>{example["number"]}</code> <span>{escape(card.label)}</span></a></li>'


def example_of(card: TestCard) -> dict[str, str]:
    """Form values for a test card."""
    amex = card.number.startswith("3")
    cuts = (4, 10, 15) if amex else (4, 8, 12, 16)
    groups = [card.number[start:end] for start, end in zip((0, *cuts), cuts, strict=False)]
    return {"number": " ".join(groups), "expiry": "12 / 40", "cvc": "1234" if amex else "123"}


def _link(url: str | None, text: str, kind: str) -> str:
    return f'<a class="{kind}" href="{escape(url)}">{text}</a>' if url else ""


def authenticate(paid: Json, *, last4: str) -> str:
    """`paid` is the session, or an intent without one."""
    amount = paid["amount"] if paid["object"] == "payment_intent" else paid["amount_total"]
    asked = f"asks for <strong>{money(amount, paid['currency'])}</strong> from" if amount else "wants to save"
    return _fill("authenticate.html", merchant=MERCHANT, asked=asked, last4=last4, session=paid["id"])


def message(heading: str, text: str, *, url: str | None = None, link: str = "") -> str:
    return _fill("message.html", heading=escape(heading), text=escape(text), link=_link(url, escape(link), "button"))


def home(sessions: list[Json], events: list[Json]) -> str:
    """What happened lately, newest first, for a developer who wonders."""
    nothing = '<li class="quiet">None yet.</li>'
    return _fill(
        "home.html",
        sessions="".join(_session_row(session) for session in sessions) or nothing,
        events="".join(_event_row(event) for event in events) or nothing,
    )


def _session_row(session: Json) -> str:
    saves = session["mode"] == "setup"
    what = "Save a card" if saves else money(session["amount_total"], session["currency"])
    name = f"{what}, {session['status']}"
    about = f"{session['id'][:24]}… {session['setup_intent'] if saves else session['_payment_intent'] or ''}"
    return _row(_link(session["url"], name, "row") or name, about, session["_email"] or "")


def _event_row(event: Json) -> str:
    waiting = event["pending_webhooks"]
    return _row(event["type"], event["data"]["object"]["id"], f"{waiting} to deliver" if waiting else "")


def _row(name: str, about: str, end: str) -> str:
    return f'<li><span>{name}<span class="quiet">{escape(about)}</span></span><span>{escape(end)}</span></li>'
