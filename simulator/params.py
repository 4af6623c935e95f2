"""Form parameters as Stripe's clients send them: `line_items[0][quantity]=1`, `expand[]=customer`."""

from typing import Any
from urllib.parse import parse_qsl

from simulator.errors import invalid


def decode(text: str) -> dict[str, Any]:
    """Nested dicts and lists of strings out of a query string or form body."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _place(tree, name.replace("]", "").split("["), value)
    return {name: _listed(value) for name, value in tree.items()}


def _place(tree: dict[str, Any], parts: list[str], value: str) -> None:
    for part in parts[:-1]:
        child = tree.setdefault(part, {})
        if not isinstance(child, dict):
            raise invalid(f"Invalid parameter: {parts[0]}", param=parts[0])
        tree = child
    tree[parts[-1] or str(len(tree))] = value


def _listed(value: Any) -> Any:
    """A dict whose keys are all numbers is a list that came in pieces."""
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(child) for key, child in value.items()}


class Params:
    """Typed reading of decoded parameters; every failure names the parameter the way Stripe does."""

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self.values = values
        self.path = path

    def name(self, key: str) -> str:
        return f"{self.path}[{key}]" if self.path else key

    def allow(self, *keys: str) -> None:
        """Refuse what isn't among `keys`."""
        for key in self.values:
            if key not in keys and key != "expand":
                name = self.name(key)
                raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")

    def text(self, key: str) -> str | None:
        """The value, or None when it is absent or empty (which is how Stripe's clients unset a field)."""
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise invalid("Invalid string", param=self.name(key))
        return value or None

    def need_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise self._missing(key)
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(key) or default
        if value not in allowed:
            raise invalid(f"Invalid {self.name(key)}: must be one of {', '.join(allowed)}", param=self.name(key))
        return value

    def integer(self, key: str, *, minimum: int = 0) -> int | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            number = int(value)
        except ValueError:
            code = "parameter_invalid_integer"
            raise invalid(f"Invalid integer: {value}", param=self.name(key), code=code) from None
        if number < minimum:
            message = f"This value must be greater than or equal to {minimum}."
            raise invalid(message, param=self.name(key), code="parameter_invalid_integer")
        return number

    def need_integer(self, key: str, *, minimum: int = 0) -> int:
        value = self.integer(key, minimum=minimum)
        if value is None:
            raise self._missing(key)
        return value

    def flag(self, key: str) -> bool:
        value = self.text(key) or "false"
        if value not in {"true", "false"}:
            raise invalid(f"Invalid boolean: {value}", param=self.name(key))
        return value == "true"

    def child(self, key: str) -> "Params":
        """The nested parameters under `key`; empty ones when it is absent."""
        value = self.values.get(key) or {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=self.name(key))
        return Params(value, self.name(key))

    def children(self, key: str) -> list["Params"]:
        value = self.values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise invalid("Invalid array", param=self.name(key))
        return [Params(item, f"{self.name(key)}[{number}]") for number, item in enumerate(value)]

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid("Invalid array", param=self.name(key))
        return value

    def metadata(self, key: str = "metadata") -> dict[str, str]:
        """At most 50 names of 40 characters with values of 500; an empty value takes the name away."""
        found = self.child(key).values
        if len(found) > 50:
            raise invalid("You can only have 50 metadata keys.", param=self.name(key))
        for name, value in found.items():
            if not isinstance(value, str) or len(value) > 500 or len(name) > 40:
                message = "Metadata names are at most 40 characters, values are strings of at most 500."
                raise invalid(message, param=f"{self.name(key)}[{name}]")
        return dict(found)

    def _missing(self, key: str) -> Exception:
        name = self.name(key)
        return invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")


def merged(old: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """Metadata after an update: names are added or replaced, an empty value takes one away."""
    return {name: value for name, value in (old | given).items() if value}
