"""The mails that the site queued, as a person reads them."""

import re

from post_office.models import Email


def mails_to(address: str) -> list[Email]:
    """Newest last."""
    return [mail for mail in Email.objects.order_by("pk") if mail.to == [address]]


def last_code_to(address: str) -> str:
    """The code of the newest mail to `address`: it stands alone on its line."""
    found = re.search(r"^ {4}(\S+)$", mails_to(address)[-1].message, re.MULTILINE)
    assert found is not None
    return found[1]


def last_link_to(address: str) -> str:
    """The path of the link in the newest mail to `address`."""
    found = re.search(r"https?://[^/]+(/\S+)", mails_to(address)[-1].message)
    assert found is not None
    return found[1]
