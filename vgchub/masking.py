"""What nobody should read: keys in logs; keys, cards and addresses in what is kept of a failure."""

import logging
import re
from typing import Any

HIDDEN = "[hidden]"
LONGEST = 2000  # characters that are kept of one text

# Stripe's keys and the secrets of its webhooks. The mode makes a key sure wherever it stands; without one it has to begin a word.
KEY = re.compile(r"(?:(?:sk|rk|pk)_(?:live|test)_|(?<![A-Za-z0-9])(?:sk|rk|pk)_(?=[\w*]{8})|whsec_)[^\s\"'<>,;)\]}]*")
ADDRESS = re.compile(r"\S*(?:@|%40)\S*")
# Twelve digits or more, in groups or not. Our own ids of entries, 24 hex digits, may have as many in a row.
CARD = re.compile(r"(?<![0-9A-Za-z])(?P<entry>[0-9a-f]{24})(?![0-9A-Za-z])|\d(?:[ \-]{0,2}\d){11,}")


def mask_keys(text: str) -> str:
    """The text without anything that looks like a key or a webhook's secret."""
    return KEY.sub(HIDDEN, text)


def clean(text: str) -> str:
    """The text, shortened, without keys, e-mail addresses and card numbers."""
    text = ADDRESS.sub(HIDDEN, mask_keys(text[:LONGEST]))
    return CARD.sub(lambda found: found[0] if found["entry"] else HIDDEN, text)


def cleaned(value: Any) -> Any:
    """The same for whatever JSON holds; what is no JSON becomes text."""
    if isinstance(value, dict):
        return {clean(str(name)): cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    text = clean(str(value))
    return value if isinstance(value, int | float) and text == str(value) else text


class MaskingFormatter(logging.Formatter):
    """Hides keys in what is about to be written, tracebacks included: belt and braces, since no line of ours should hold one."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_keys(super().format(record))
