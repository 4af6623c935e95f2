"""What a draw made of an entry, in templates."""

from django import template

from lottery import sentences

register = template.Library()
register.filter("how", sentences.how)
