"""`{% constant %}...{% endconstant %}`: what a template says alike to everybody, made once a process and language."""

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import BaseContext, Context
from django.utils.safestring import SafeString
from django.utils.translation import get_language

register = template.Library()


class ConstantNode(template.Node):
    """Renders its inside without any context, so that nothing of a request can get into it."""

    child_nodelists = ("inside",)

    def __init__(self, inside: NodeList) -> None:
        self.inside = inside
        self._made: dict[str | None, SafeString] = {}

    def render(self, context: BaseContext) -> SafeString:
        language = get_language()
        if language not in self._made:
            bare = Context()
            with bare.bind_template(context.template):  # type: ignore[attr-defined]  # set while it renders
                self._made[language] = self.inside.render(bare)
        return self._made[language]


@register.tag
def constant(parser: Parser, _token: Token) -> ConstantNode:
    inside = parser.parse(("endconstant",))
    parser.delete_first_token()
    return ConstantNode(inside)
