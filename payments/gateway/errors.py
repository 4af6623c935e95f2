"""What can be wrong with a call to Stripe: these and no others."""


class GatewayError(Exception):
    """Stripe did not do what was asked. `code` is Stripe's, or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message, self.code = message, code


class GatewayAwayError(GatewayError):
    """No answer, or "not now": ask again later. `answered` says that a new idempotency key is needed then."""

    def __init__(self, message: str, code: str = "", *, answered: bool = False) -> None:
        super().__init__(message, code)
        self.answered = answered


class GatewayRefusedError(GatewayError):
    """A final no to this call: the card's bank refuses, or the object is in another state. Ask for the object."""


class NotAtStripeError(GatewayError):
    """Stripe knows no such object."""
