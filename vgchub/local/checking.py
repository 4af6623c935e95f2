"""`bin/check`: every rule that a tool can hold, two at a time; all are tried, and what failed is shown."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vgchub.local.embedded import embedded_servers
from vgchub.local.fingerprint import HOUSE

APPS = ("accounts", "tournaments", "registrations", "lottery", "payments", "reports", "vgchub")
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Rule:
    """A command that ends with 0 when the rule is kept."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a rule's command went."""

    rule: Rule
    kept: bool
    seconds: float
    output: str


def main(arguments: list[str]) -> int:
    """Check all rules, or those whose names hold one of `arguments`. Returns 0 when all are kept."""
    rules = [rule for rule in _rules() if not arguments or any(word in rule.name for word in arguments)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vgchub-check-") as name:
        Path(name).chmod(0o711)
        with embedded_servers(Path(name), durable=False) as servers:
            servers.postgres.make_database("vgchub")
            environment = _production(servers.postgres.url("vgchub"), servers.valkey.url(0))
            broken = _report(_outcomes(rules, environment))
    print(f"{len(rules) - broken} of {len(rules)} rules are kept ({time.monotonic() - began:.0f} s).")
    return 1 if broken else 0


def _rules() -> list[Rule]:
    """The slow ones first, so that the two rows end together."""
    apps = [app for app in APPS if (HOUSE / app / "migrations").exists()]
    return [
        Rule("types (mypy)", _program("mypy", ".")),
        Rule("settings of production (check --deploy)", _manage("check", "--deploy", "--fail-level=WARNING")),
        Rule("migrations are made", _manage("makemigrations", "--check", "--dry-run")),
        Rule(
            "migrations don't block (migration linter)",
            _manage("lintmigrations", "--no-cache", "--include-apps", *apps),
        ),
        Rule("imports go one way (import-linter)", _program("lint-imports", "--no-logo")),
        Rule("templates (djLint)", _program("djlint", "templates", "--lint", "--quiet")),
        Rule("code (ruff)", _program("ruff", "check", ".")),
        Rule("format (ruff)", _program("ruff", "format", "--check", ".")),
    ]


def _program(name: str, *argv: str) -> tuple[str, ...]:
    return (str(PROGRAMS / name), *argv)


def _manage(*argv: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *argv)


def _production(database_url: str, redis_url: str) -> dict[str, str]:
    """An environment as production has it; the tools' apps come on top."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "tests.checked_settings",
        "SECRET_KEY": secrets.token_urlsafe(60),
        "DEBUG": "0",
        "LOCAL_MODE": "0",
        "SITE_URL": "https://vgchub.example",
        "LIVE_URL": "",
        "ALLOWED_HOSTS": "vgchub.example",
        "TRUSTED_PROXIES": "1",
        "STRIPE_SECRET_KEY": "sk_live_" + secrets.token_hex(16),
        "STRIPE_WEBHOOK_SECRET": "whsec_" + secrets.token_hex(16),
        "PROCESS": "command",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(HOUSE),
    }


def _outcomes(rules: list[Rule], environment: dict[str, str]) -> Iterable[Outcome]:
    with ThreadPoolExecutor(max_workers=2) as rows:
        yield from rows.map(lambda rule: _outcome(rule, environment), rules)


def _outcome(rule: Rule, environment: dict[str, str]) -> Outcome:
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own commands
        rule.argv, cwd=HOUSE, env=environment, capture_output=True, text=True, check=False
    )
    return Outcome(rule, done.returncode == 0, time.monotonic() - began, (done.stdout + done.stderr).strip())


def _report(outcomes: Iterable[Outcome]) -> int:
    """Print each outcome as it comes. Returns how many rules are broken."""
    broken = 0
    for outcome in outcomes:
        print(f"{'ok    ' if outcome.kept else 'BROKEN'} {outcome.rule.name} ({outcome.seconds:.1f} s)", flush=True)
        if not outcome.kept:
            broken += 1
            print("       " + outcome.output.replace("\n", "\n       "), flush=True)
    return broken
