"""What a browser would send back from a page on which nothing was touched."""

from html.parser import HTMLParser


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._select = self._textarea = ""
        self._first_option = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name = values.get("name") or ""
        if tag == "input" and name and "disabled" not in values:
            self._input(name, values)
        elif tag == "select":
            self._select, self._first_option = name, True
        elif tag == "option" and self._select and ("selected" in values or self._first_option):
            self.found[self._select] = values.get("value") or ""
            self._first_option = False
        elif tag == "textarea":
            self._textarea = name
            self.found[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            # The first newline after the tag is markup, not text.
            self.found[self._textarea] += data.removeprefix("\r\n").removeprefix("\n")

    def _input(self, name: str, values: dict[str, str | None]) -> None:
        kind = values.get("type")
        if kind in ("submit", "file") or (kind in ("checkbox", "radio") and "checked" not in values):
            return
        self.found[name] = values.get("value") or ("on" if kind == "checkbox" else "")


def untouched(html: str) -> dict[str, str]:
    """Field name to value, of every enabled field of a page; buttons are not pressed, files not chosen."""
    parser = _Fields()
    parser.feed(html)
    return parser.found
