"""Refusals in Stripe's form: `{"error": {type, code, message, param, doc_url, ...}}` with an HTTP status."""

from typing import Any

DOC_URL = "https://docs.stripe.com/error-codes#"


class ApiError(Exception):
    """A refusal. `began` is False when the endpoint had done nothing yet: no key replays such an answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str = "",
        kind: str = "",
        began: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind or "invalid_request_error"
        self.began = began
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error |= {"code": self.code, "doc_url": DOC_URL + self.code.replace("_", "-")}
        if self.param:
            error["param"] = self.param
        return {"error": error}


def invalid(message: str, *, param: str = "", code: str = "") -> ApiError:
    """A parameter that can't be read: refused before the endpoint begins."""
    return ApiError(400, message, param=param, code=code, began=False)


def refused(message: str, *, code: str = "", param: str = "") -> ApiError:
    """The request is well formed, but the object's state or amounts forbid it."""
    return ApiError(400, message, code=code, param=param)


def missing(kind: str, object_id: str, *, param: str = "id") -> ApiError:
    return ApiError(404, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def unknown_url(method: str, path: str) -> ApiError:
    return ApiError(404, f"Unrecognized request URL ({method}: {path}).", began=False)


def unauthorised(message: str) -> ApiError:
    return ApiError(401, message, began=False)


def key_in_use(key: str) -> ApiError:
    return ApiError(
        409,
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key}. Please try again later.",
        code="idempotency_key_in_use",
        began=False,
    )


def key_mismatch(message: str) -> ApiError:
    return ApiError(400, message, kind="idempotency_error", began=False)


class DeclinedError(ApiError):
    """The card's bank said no. The attempt is on record: unlike other refusals, this one keeps what was done."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(402, error["message"], code=error["code"], kind="card_error")
        self.error = error

    def body(self) -> dict[str, Any]:
        return {"error": self.error}
