"""What the tests do again and again: open a session, pay it as a browser would, use the control endpoint."""

import time
from dataclasses import dataclass
from typing import Any

import requests
import stripe

GOOD, DECLINED, POOR, SECURE = "4242424242424242", "4000000000000002", "4000000000009995", "4000002500003155"


@dataclass
class Shop:
    address: str
    client: stripe.StripeClient

    @property
    def v1(self) -> Any:
        """Untyped on purpose: tests send wrong parameters too."""
        return self.client.v1

    def session(self, **changes: Any) -> Any:
        given: dict[str, Any] = {
            "mode": "payment",
            "success_url": "http://127.0.0.1:1/paid?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:1/cancelled",
            "customer_email": "alice@example.com",
            "line_items": [
                {
                    "price_data": {
                        "currency": "eur",
                        "unit_amount": 2500,
                        "product_data": {"name": "Masters"},
                    },
                    "quantity": 1,
                }
            ],
            "payment_intent_data": {"capture_method": "manual", "metadata": {"entry": "7"}},
            "expires_at": int(time.time()) + 1860,
        }
        given |= changes
        return self.v1.checkout.sessions.create({name: value for name, value in given.items() if value is not None})

    def pay(self, session: Any, number: str = GOOD, **changes: str) -> requests.Response:
        form = {"number": number, "expiry": "12 / 40", "cvc": "123", "email": "alice@example.com", **changes}
        url = f"{self.address}/c/pay/{session.id}"
        return requests.post(url, form, allow_redirects=False, timeout=20)

    def authenticate(self, session: Any, result: str = "complete") -> requests.Response:
        url = f"{self.address}/c/pay/{session.id}/authenticate"
        return requests.post(url, {"result": result}, allow_redirects=False, timeout=20)

    def paid_intent(self, **changes: Any) -> Any:
        """The intent of a session that was opened and paid."""
        session = self.session(**changes)
        assert self.pay(session).status_code == 303
        paid = self.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
        return paid.payment_intent

    def saving_session(self, **changes: Any) -> Any:
        """A session that saves a card, for a customer of its own unless one is given."""
        given: dict[str, Any] = {
            "mode": "setup",
            "currency": "eur",
            "success_url": "http://127.0.0.1:1/saved?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:1/cancelled",
        }
        if "customer" not in changes:
            given["customer"] = self.v1.customers.create({"email": "alice@example.com", "name": "Alice"}).id
        given |= changes
        return self.v1.checkout.sessions.create({name: value for name, value in given.items() if value is not None})

    def saved_card(self, number: str = GOOD) -> Any:
        """The payment method of a new customer who saved this card."""
        session = self.saving_session()
        if self.pay(session, number).headers["location"].endswith("authenticate"):
            self.authenticate(session)
        expanded = {"expand": ["setup_intent.payment_method"]}
        return self.v1.checkout.sessions.retrieve(session.id, expanded).setup_intent.payment_method

    def charge_later(self, method: Any, options: Any = None, **changes: Any) -> Any:
        """Charge a saved card while its holder is away."""
        given: dict[str, Any] = {
            "amount": 2500,
            "currency": "eur",
            "customer": method.customer,
            "payment_method": method.id,
            "confirm": True,
            "off_session": True,
        }
        return self.v1.payment_intents.create(given | changes, options)

    def charged(self, number: str, **changes: Any) -> Any:
        """A charge by a saved card, as it is now."""
        intent = self.charge_later(self.saved_card(number), **changes)
        return self.v1.charges.retrieve(intent.latest_charge)

    def control(self, what: str, verb: str = "POST", **given: Any) -> dict[str, Any]:
        answer = requests.request(verb, f"{self.address}/_control/{what}", json=given, timeout=20)
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def events(self) -> list[str]:
        """The types of all events, oldest first."""
        return [event.type for event in self.v1.events.list({"limit": 100}).data][::-1]
