"""Pictures in templates: `vgchub.pictures` says where everything goes."""

from django import template

from vgchub import pictures

register = template.Library()


@register.simple_tag
def seat_bar(seats: int, confirmed: int, offered: int, reserved: int | str) -> dict[str, pictures.Part]:
    """`{% seat_bar seats confirmed offered reserved as bar %}`"""
    return pictures.seat_bar(seats, confirmed, offered, int(reserved or 0))


@register.simple_tag
def line_picture(waiting: int, position: int | None, likely: int) -> pictures.LinePicture:
    """`{% line_picture waiting position likely as picture %}`"""
    return pictures.line_picture(waiting, position or None, likely or 0)


@register.filter
def cell(row: list[object], index: int) -> object:
    """A cell of a table by its column's number."""
    return row[index]
