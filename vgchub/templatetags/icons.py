"""`{% icon "waiting" %}`: a picture from the sprite, beside a word that says the same."""

from functools import cache

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
@cache
def icon(name: str, css_class: str = "icon") -> SafeString:
    """An inline SVG in the colour of the text; hidden from screen readers, who get the word."""
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        css_class,
        static("icons/sprite.svg"),
        name,
    )
