"""What a template says alike to everybody is made once."""

from typing import Any

from django.template import Context, Template
from django.utils import translation

from vgchub.templatetags import words

COUNTED = "{% load constant words %}{% constant %}<{{ name }}>{% moment_of %}{% endconstant %}{{ name }}"


def test_constant_is_rendered_once_for_each_language_and_knows_no_context(monkeypatch: Any) -> None:
    made: list[str] = []

    def moment_of() -> str:
        made.append(translation.get_language() or "")
        return f"made {len(made)}"

    monkeypatch.setitem(words.register.tags, "moment_of", None)
    words.register.simple_tag(moment_of)
    page = Template(COUNTED)
    assert page.render(Context({"name": "Alice"})) == "<>made 1Alice"
    assert page.render(Context({"name": "Bob"})) == "<>made 1Bob"
    with translation.override("de"):
        assert page.render(Context({"name": "Bob"})) == "<>made 2Bob"
    assert made == ["en", "de"]


def test_constant_takes_included_parts_along() -> None:
    page = Template(
        '{% load constant %}{% constant %}{% include "_notice.html" with kind="info" text="Hello" %}{% endconstant %}'
    )
    assert "Hello" in page.render(Context())
