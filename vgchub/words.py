"""Numbers, money and times as a person reads them, in the language of the request. Times are arguments; nothing reads a clock."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

# Currencies whose smallest unit is not a hundredth, as Stripe counts them.
_DECIMALS = dict.fromkeys(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"), 0
) | dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3)
# Of three digits after the point cards know two; króna have none left, but Stripe counts on in hundredths.
_CARD_STEPS = dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10) | {"isk": 100}
_SYMBOLS = {"eur": "€", "gbp": "£", "jpy": "¥", "usd": "$"}


def number(value: int) -> str:
    """12,345"""
    return _number(value, get_language())


@lru_cache(maxsize=10_000)
def _number(value: int, language: str | None) -> str:  # noqa: ARG001  what number_format goes by
    return number_format(value, force_grouping=True)


def ordinal(value: int) -> str:
    """1st, 2nd, 3rd, 11th, 3,420th"""
    last = "11" if value % 100 in (11, 12, 13) else str(value % 10)
    # Translators: the ending that goes with numbers that end so; {} is the number.
    endings = {"1": pgettext("ordinal", "{}st"), "2": pgettext("ordinal", "{}nd"), "3": pgettext("ordinal", "{}rd")}
    return endings.get(last, pgettext("ordinal", "{}th")).format(number(value))


def percent(share: float) -> str:
    """A chance between 0.0 and 1.0: 11%, but never 0% or 100% of what may still happen or fail."""
    if 0 < share < 0.01:
        return _("less than 1%")
    if 0.99 < share < 1:
        return _("more than 99%")
    return f"{round(share * 100)}%"


def decimals(currency: str) -> int:
    """How many digits of an amount in the smallest unit stand after the point: 2 for eur, 0 for jpy, 3 for kwd."""
    return _DECIMALS.get(currency, 2)


def card_step(currency: str) -> int:
    """In steps of how many smallest units cards pay, and are paid back, at Stripe: 10 for kwd, 100 for isk, else 1."""
    return _CARD_STEPS.get(currency, 1)


def money(minor: int, currency: str) -> str:
    """An amount in the smallest unit of an ISO currency: €25.00, ¥3,000, CHF 25.00, -€1.03"""
    places = decimals(currency)
    amount = number_format(Decimal(abs(minor)).scaleb(-places), decimal_pos=places, force_grouping=True)
    unit = _SYMBOLS.get(currency) or f"{currency.upper()} "
    return f"{'-' if minor < 0 else ''}{unit}{amount}"


def major(minor: int, currency: str) -> Decimal:
    """An amount in the largest unit of an ISO currency, to calculate with: 25.00, 3000, 25.000"""
    return Decimal(minor).scaleb(-_DECIMALS.get(currency, 2))


def duration(span: timedelta) -> str:
    """The two largest units of a time that is left, rounded down: 3 days 4 hr, 12 min 5 sec. Never negative."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{_days(days)} {_hours(hours % 24)}"
    if hours:
        return f"{_hours(hours)} {_minutes(minutes % 60)}"
    if minutes:
        return f"{_minutes(minutes)} {_seconds(seconds % 60)}"
    return _seconds(seconds)


# The short forms are those of the browser's Intl.NumberFormat, which goes on counting.
def _days(days: int) -> str:
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}


def _hours(hours: int) -> str:
    return ngettext("%(n)d hr", "%(n)d hr", hours) % {"n": hours}


def _minutes(minutes: int) -> str:
    return ngettext("%(n)d min", "%(n)d min", minutes) % {"n": minutes}


def _seconds(seconds: int) -> str:
    return ngettext("%(n)d sec", "%(n)d sec", seconds) % {"n": seconds}


def zone_name(zone: ZoneInfo) -> str:
    """Berlin time, Buenos Aires time, UTC"""
    if zone.key in ("UTC", "Etc/UTC"):
        return "UTC"
    return _("%(city)s time") % {"city": zone.key.rsplit("/", 1)[-1].replace("_", " ")}


def day(value: date) -> str:
    """28 November 2026"""
    # Translators: Django's date format characters for "28 November 2026".
    return date_format(value, pgettext("date", "j F Y"))


def day_and_time(when: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """Saturday 28 November at 20:00; with its year where that is another than now's; "today at" where it is now's day."""
    there, today = when.astimezone(zone), now.astimezone(zone).date()
    time = date_format(there, "H:i:s" if there.second else "H:i")
    if there.date() == today:
        return _("today at %(time)s") % {"time": time}
    # Translators: Django's date format characters for "Saturday 28 November" and "Saturday 28 November 2026".
    pattern = pgettext("date", "l j F") if there.year == today.year else pgettext("date", "l j F Y")
    return _("%(day)s at %(time)s") % {"day": date_format(there, pattern), "time": time}


def deadline(when: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """20:24:10; with its day where that is another than now's: Tuesday 1 December at 20:24:10"""
    there = when.astimezone(zone)
    if there.date() == now.astimezone(zone).date():
        return f"{there:%H:%M:%S}"
    return day_and_time(when, zone, now=now)


def moment(when: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """Saturday 28 November at 20:00 (Berlin time)"""
    return f"{day_and_time(when, zone, now=now)} ({zone_name(zone)})"
