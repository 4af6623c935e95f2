"""What the pages of other apps show of an account."""

from typing import Any

from django import template

register = template.Library()


@register.inclusion_tag("accounts/_unproven.html", takes_context=True)
def unproven_banner(context: dict[str, Any]) -> dict[str, Any]:
    """On every page of somebody whose address is not proven yet: what that means, and the way to the code. No query."""
    user = context.get("user")
    if user is None or not user.is_authenticated or user.email_verified_at:
        return {"unproven": False}
    return {"unproven": True, "request": context.get("request")}
