"""What can be set when the simulator starts."""

from dataclasses import dataclass

API_VERSION = "2026-08-26.dahlia"  # the shape of the objects, and what events say they are

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SESSION_SHORTEST = 30 * MINUTE
SESSION_LONGEST = DAY
AUTHORISATION_LASTS = 7 * DAY
IDEMPOTENCY_KEY_LASTS = DAY
REFUND_TAKES = MINUTE  # where a refund is pending first, or fails later
EVIDENCE_WITHIN = 20 * DAY
INQUIRY_LASTS = 120 * DAY

# Stripe's pauses between attempts, roughly; `retry_scale` makes them short enough to watch.
RETRY_PAUSES = (MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, DAY)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`public_url` is for browsers, without a slash at the end; `data` is a file, or None for memory."""

    public_url: str = "http://127.0.0.1:12111"
    data: str | None = None
    retry_scale: float = 1 / 60
    webhook_timeout: float = 20.0  # seconds
    webhooks_at_once: int = 8
    misbehave: int | None = None  # the seed; None for a Stripe that works
    misbehave_share: float = 0.1
