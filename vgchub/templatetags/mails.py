"""A mail's text, cut into what its HTML shows in different ways; the words stay the same."""

from dataclasses import dataclass

from django import template
from django.conf import settings

register = template.Library()

SHORT = 60  # what a button can say


@dataclass(frozen=True)
class Part:
    """A paragraph: `kind` is text, quote (it was indented), button (the first link to the site) or link (any later one).

    Of a link `text` is what leads to it, without its colon.
    """

    kind: str
    text: str
    url: str = ""

    @property
    def fits(self) -> bool:
        """Whether what leads to the link can stand on the button itself."""
        return len(self.text) <= SHORT


@register.filter
def mail_parts(text: str) -> list[Part]:
    """The paragraphs of a mail. One that ends with a line that is an address of the site becomes a link."""
    parts: list[Part] = []
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        if paragraph.strip():
            parts.append(_part(paragraph, first=all(part.kind != "button" for part in parts)))
    return parts


def _part(paragraph: str, *, first: bool) -> Part:
    *lead, last = paragraph.strip("\n").split("\n")
    if lead and last.startswith(f"{settings.SITE_URL}/") and " " not in last:
        words = "\n".join(lead).strip().removesuffix(":")
        return Part("button" if first else "link", words, last)
    return Part("quote" if paragraph.lstrip("\n").startswith("    ") else "text", paragraph.strip())
