"""Pictures in templates: `vgchub.pictures` says where everything goes."""

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from vgchub import pictures, words

register = template.Library()


@register.simple_tag
def seat_bar(seats: int, confirmed: int, offered: int, reserved: int | str) -> dict[str, pictures.Part]:
    """`{% seat_bar seats confirmed offered reserved as bar %}`"""
    return pictures.seat_bar(seats, confirmed, offered, int(reserved or 0))


# What line.js makes of the same picture. Two hundred nodes of a template would take a third of the live page's time.
SHADE = '<rect class="line__shade" x="2" y="24" width="{}" height="46" rx="10"></rect>'
PERSON = (
    '<g class="line__person{}" data-at="{}" transform="translate({} 0)"><circle cy="38" r="5"></circle>'
    '<path d="M-7.5 62a7.5 9 0 0 1 15 0z"></path>{}</g>'
)
YOU = '<text class="line__you" y="16">{}</text>'
LEFT_OUT = (
    '<g class="line__gap" transform="translate({} 0)"><circle cx="-9" cy="52" r="2"></circle><circle cy="52" r="2"></circle>'
    '<circle cx="9" cy="52" r="2"></circle></g>'
)
LABEL = '<text class="line__number{}" x="{}" y="84">{}</text>'


@register.simple_tag
def line_picture(waiting: int, position: int | None, likely: int) -> SafeString:
    """`{% line_picture waiting position likely %}`: the inside of the SVG that shows the line."""
    picture = pictures.line_picture(waiting, position or None, likely or 0)
    parts = [SHADE.format(picture.shade)] if picture.shade else []
    you = YOU.format(escape(_("You")))
    for person in picture.people:
        kind = " line__person--you" if person.is_you else " line__person--likely" if person.is_likely else ""
        parts.append(PERSON.format(kind, person.at, person.x, you if person.is_you else ""))
    parts += [LEFT_OUT.format(gap.x) for gap in picture.gaps]
    for at, x in picture.labels:
        parts.append(LABEL.format(" line__number--you" if at == position else "", x, words.number(at)))
    return mark_safe("".join(parts))  # noqa: S308  whole numbers, and a word that is escaped


@register.filter
def cell(row: list[object], index: int) -> object:
    """A cell of a table by its column's number."""
    return row[index]
