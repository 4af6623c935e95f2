"""Keys, cards and addresses are taken out of whatever text holds them."""

import logging
import re
from typing import Any

import pytest
from celery.signals import after_setup_task_logger
from django.conf import settings as site
from hypothesis import assume, given
from hypothesis import strategies as st

from vgchub.masking import HIDDEN, MaskingFormatter, clean, cleaned, mask_keys

letters = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=16, max_size=60)
prefixes = st.sampled_from(["sk_test_", "sk_live_", "rk_test_", "rk_live_", "pk_live_", "whsec_", "sk_", "rk_"])
keys = st.builds(str.__add__, prefixes, letters)
cards = st.builds(
    lambda digits, gap: gap.join(digits[i : i + 4] for i in range(0, len(digits), 4)),
    st.text("0123456789", min_size=13, max_size=19),
    st.sampled_from(["", " ", "-", "  "]),
)
addresses = st.builds("{}@{}.example".format, letters, letters)
before = st.one_of(st.just(""), st.builds(lambda text, gap: text + gap, st.text(), st.sampled_from(" =:\n\"'(/")))
around = st.tuples(before, st.text())
gaps = st.text(" \n:;,.\"'=/", min_size=1, max_size=3)
words = st.text("abc xyz")


@given(keys, around)
def test_no_key_is_left(key: str, texts: tuple[str, str]) -> None:
    secret = key.rpartition("_")[2]
    assume(secret not in "".join(texts))
    for masked in (mask_keys(f"{texts[0]}{key}{texts[1]}"), clean(f"{texts[0]}{key}{texts[1]}")):
        assert secret not in masked


@given(cards, st.builds(str.__add__, words, gaps), st.builds(str.__add__, gaps, st.text()))
def test_no_card_is_left(card: str, head: str, tail: str) -> None:
    assert card not in clean(f"{head}{card}{tail}")
    assert not re.search(r"\d(?:[ -]?\d){12}", clean(f"{head}{card}"))


@given(addresses, st.tuples(st.text(), st.text()))
def test_no_address_is_left(address: str, texts: tuple[str, str]) -> None:
    assert "@" not in clean(f"{texts[0]}{address}{texts[1]}")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), keys, cards, addresses),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(), keys), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
def test_what_json_holds_is_cleaned_to_its_leaves_and_keeps_its_shape(value: Any) -> None:
    result = cleaned(value)
    assert leaves(result) == [leaf if not isinstance(leaf, str) else clean(leaf) for leaf in leaves(result)]
    if isinstance(value, list):
        assert len(result) == len(value)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in (name, *leaves(inner))]
    return [leaf for inner in value for leaf in leaves(inner)] if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "text",
    [
        "card_declined: Your card was declined.",
        "The bank did not take the money back; it has to reach the player another way.",
        "task_identifier and risk_assessment",
        "entry 123456789012345678901234 of payment 17",
        "pi_3MtwBwLkdIwHu7ix28a3tqPa at 2026-11-29 11:11:06",
    ],
)
def test_what_helps_to_understand_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        (4242424242424242, HIDDEN),
        ({"number": "4242 4242 4242 4242", "amount": 2500}, {"number": HIDDEN, "amount": 2500}),
        ({"alice@example.com": ["sk_test_0123456789abcdef"]}, {HIDDEN: [HIDDEN]}),
        ("Invalid API Key provided: sk_test_****cdef", f"Invalid API Key provided: {HIDDEN}"),
        ('"a b"@example.com', f'"a {HIDDEN}'),
    ],
)
def test_examples(value: Any, hidden: Any) -> None:
    assert cleaned(value) == hidden


def test_a_log_line_shows_no_key_not_even_in_its_traceback() -> None:
    secret = "sk_live_" + "0123456789abcdef" * 2
    try:
        int(secret)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s failed", (secret,), (ValueError, error, None))
    formatted = MaskingFormatter("{message}", style="{").format(record)
    assert "0123456789abcdef" not in formatted
    assert formatted.count(HIDDEN) == 2
    plain = logging.Formatter("{message}", style="{")  # the control: what it looks like without
    record.exc_text = None
    assert secret in plain.format(record)


def test_every_handler_of_the_site_writes_with_it() -> None:
    logging_settings: dict[str, Any] = site.LOGGING
    formatters = {handler["formatter"] for handler in logging_settings["handlers"].values()}
    assert {logging_settings["formatters"][name]["()"] for name in formatters} == {"vgchub.masking.MaskingFormatter"}


def test_celerys_own_logger_of_tasks_writes_with_it() -> None:
    logger = logging.getLogger("test.of.celery.task")
    logger.addHandler(logging.StreamHandler())
    after_setup_task_logger.send(sender=None, logger=logger)
    assert isinstance(logger.handlers[0].formatter, MaskingFormatter)
