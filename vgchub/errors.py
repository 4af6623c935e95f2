"""What the site says no with.

A refusal is an expected answer ("registration has closed"), not a fault. Each has a class of its own beside the service that
raises it; `vgchub.responses` turns them into pages and API answers, in one place each.
"""

from typing import Any

from django.utils.functional import Promise

Sentence = str | Promise


class RefusedError(Exception):
    """A request that can't be granted, in words for the person who asked.

    `code` is stable and for programs; `message` says what it is and why; `remedy` what to do; `data` holds JSON-ready details.
    A page of one that `repeats` sends the form again by itself after `retry_after` seconds, which are among them: the class', or
    those of this one refusal.
    """

    code = "refused"
    status = 409
    message: Sentence = ""
    remedy: Sentence = ""
    repeats = False
    retry_after: int | None = None

    def __init__(self, message: Sentence = "", *, remedy: Sentence = "", **data: Any) -> None:
        self.message = message or self.message
        self.remedy = remedy or self.remedy
        self.data = data if self.retry_after is None else {"retry_after": self.retry_after, **data}
        super().__init__(str(self.message))

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the answer, whether page or API."""
        return {"Retry-After": str(self.data["retry_after"])} if "retry_after" in self.data else {}
