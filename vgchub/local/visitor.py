"""A person at a browser without JavaScript: follows links and redirects, keeps cookies, fills in forms."""

import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

TIMEOUT = 15  # seconds for one answer
POLL = 0.25  # seconds between two looks at a page that is to change


class UnexpectedPageError(Exception):
    """The page isn't what the visitor was led to expect; the message says where and what it said."""


@dataclass
class Form:
    """A form as it stands on the page, with what it holds already."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class Visitor:
    """One person with own cookies. After each step, `page` is what the person sees and `url` where."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.url = site
        self.page = ""
        self._session = requests.Session()
        self._session.headers["Accept"] = "text/html"

    def open(self, path: str) -> None:
        """Go to a path of the site, or to a full address."""
        self._show(self._session.get(urljoin(self.url, path), timeout=TIMEOUT))

    def submit(self, action: str, *, follow: bool = True, **values: str) -> str:
        """Fill in `values` and submit the form whose address holds `action`. Returns where the site sent us.

        With `follow=False` that page isn't opened, as when the person closes the tab.
        """
        form = self._form(action)
        fields = [(name, value) for name, value in form.fields if name not in values]
        answer = self._session.request(
            form.method,
            form.action,
            data=[*fields, *values.items()],
            headers={"Referer": self.url},
            timeout=TIMEOUT,
            allow_redirects=follow,
        )
        if follow or not answer.is_redirect:
            self._show(answer)
            return self.url
        return urljoin(form.action, answer.headers["Location"])

    def has_form(self, action: str) -> bool:
        return any(action in form.action for form in self._forms())

    def wait_for(self, path: str, *, form: str = "", text: str = "", patience: float = 20.0) -> None:
        """Reload `path` until it has the form or the text."""
        deadline = time.monotonic() + patience
        while True:
            self.open(path)
            if (form and self.has_form(form)) or (text and text in self.page):
                return
            if time.monotonic() > deadline:
                raise self._unexpected(f"no {form or text!r} within {patience:.0f} s")
            time.sleep(POLL)

    def expect(self, text: str) -> None:
        if text not in self.page:
            raise self._unexpected(f"no {text!r}")

    def _show(self, answer: requests.Response) -> None:
        self.url, self.page = answer.url, answer.text
        if not answer.ok:
            raise self._unexpected(f"status {answer.status_code}")

    def _form(self, action: str) -> Form:
        found = next((form for form in self._forms() if action in form.action), None)
        if found is None:
            raise self._unexpected(f"no form for {action!r}")
        return found

    def _forms(self) -> list[Form]:
        reader = _FormReader(self.url)
        reader.feed(self.page)
        return reader.forms

    def _unexpected(self, what: str) -> UnexpectedPageError:
        return UnexpectedPageError(f"{self.url}: {what}. The page says: {readable(self.page)[:1000]}")


class _FormReader(HTMLParser):
    """Collects the forms of a page with the values that a browser would send."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            action = urljoin(self.url, given.get("action") or self.url)
            self.forms.append(Form(action, (given.get("method") or "get").upper()))
        elif tag == "input" and self.forms and given.get("name") and _is_sent(given):
            self.forms[-1].fields.append((given["name"] or "", given.get("value") or "on"))


def _is_sent(attributes: dict[str, str | None]) -> bool:
    kind = attributes.get("type") or "text"
    if kind in {"checkbox", "radio"}:
        return "checked" in attributes
    return kind == "hidden" or bool(attributes.get("value"))


def readable(page: str) -> str:
    """What a person reads on an HTML page."""
    reader = _TextReader()
    reader.feed(page)
    return " ".join(" ".join(reader.parts).split())


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unread = 0  # how deep inside of what is not for reading

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._unread += tag in {"script", "style", "head"}

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in {"script", "style", "head"}

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.parts.append(data)
