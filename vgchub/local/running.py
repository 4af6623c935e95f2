"""`bin/run`: the whole site on this machine, from nothing to a page that opens, until Ctrl-C."""

import argparse
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vgchub.local import fingerprint
from vgchub.local.child import Spec, dies_with_parent
from vgchub.local.folder import LocalFolder
from vgchub.local.outside import refuse_silent
from vgchub.local.ports import is_free
from vgchub.local.postgres import Postgres
from vgchub.local.problems import LocalProblemError
from vgchub.local.site import Site, simulator
from vgchub.local.supervisor import Supervisor
from vgchub.local.valkey import Valkey
from vgchub.open_files import raise_limit_of_open_files

RENEW = signal.SIGUSR1
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TENDING = 0.2  # seconds between two looks at the children


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit code."""
    options = _options(arguments)
    if options.check:
        from vgchub.local.walk import check  # noqa: PLC0415  it comes with an HTTP client that a start doesn't need

        return check()
    folder = LocalFolder(options.folder.resolve())
    if options.renew:
        os.kill(folder.owner(), RENEW)
        print(f"Asked: {folder.log} and what bin/run prints say how it goes.")
        return 0
    with folder.locked(fresh=options.fresh):
        _refuse_taken(options.port)
        signal.signal(RENEW, signal.SIG_IGN)  # until all have started
        with running_site(folder, port=options.port, demo=options.demo, say=print, outside=os.environ) as running:
            _introduce(running)
            crowd = _start_crowd(running, options.crowd)
            try:
                _tend_until_told(running, lambda: _renew(folder, running))
            finally:
                if crowd is not None:
                    crowd.terminate()
                print("\nStopping.", flush=True)
    return 0


@dataclass(frozen=True)
class Running:
    """A site that is up. `logins` are e-mail addresses with their passwords, none without demo data."""

    supervisor: Supervisor
    site: Site
    logins: dict[str, str]
    crowd_tournament: str
    lottery: str


@contextmanager
def running_site(
    folder: LocalFolder, *, port: int, demo: bool, say: Callable[[str], None], outside: Mapping[str, str]
) -> Iterator[Running]:
    """Everything started and ready; all is stopped at the end.

    DATABASE_URL, REDIS_URL and STRIPE_* of `outside` replace the embedded parts.
    """
    raise_limit_of_open_files()
    supervisor = Supervisor(folder.log, say=say)
    try:
        say("Starting PostgreSQL and Valkey.")
        servers = _start_servers(folder, supervisor, outside)
        stripe = _start_simulator(folder, supervisor, outside)
        site = _site(folder, port=port, environment={**servers, **stripe})
        folder.write_environment(site.environment)
        if outside.get("DATABASE_URL"):
            folder.stamp("migrate", "")  # it may be another database behind the same address
        _prepare(folder, site, say)
        say("Starting the site: web, live, clock, worker, beat.")
        steps = {name: _begin(site, folder, name, *options) for name, options in _first_steps(outside, demo)}
        supervisor.start(*site.processes())
        said = {name: _finish(process, folder, name) for name, process in steps.items()}
        logins = json.loads(said.get("demo", '{"crowd_tournament": "", "lottery": ""}'))
        yield Running(
            supervisor,
            site,
            crowd_tournament=logins.pop("crowd_tournament"),
            lottery=logins.pop("lottery"),
            logins=logins,
        )
    finally:
        with _deaf_to_signals():
            supervisor.stop()


def _first_steps(outside: Mapping[str, str], demo: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Commands that run while the processes start, with their options."""
    if demo:
        yield "demo", ("--json",)
    if not outside.get("STRIPE_SECRET_KEY"):  # at the real Stripe somebody decides where events go
        yield "register_webhook", ()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/run", description="Runs VGC Hub on this machine until Ctrl-C.")
    parser.add_argument("--port", type=int, default=8000, help="of the site (8000)")
    parser.add_argument("--fresh", action="store_true", help="throw the local data away first")
    parser.add_argument("--no-demo", dest="demo", action="store_false", help="without demo data")
    parser.add_argument("--crowd", type=int, default=0, metavar="N", help="let N players join a demo tournament")
    parser.add_argument("--folder", type=Path, default=fingerprint.HOUSE / ".local", help="of the local data (.local)")
    parser.add_argument(
        "--renew", action="store_true", help="start the processes of the running site anew, without losing a request"
    )
    parser.add_argument("--check", action="store_true", help="start all with throw-away data, walk through it, stop")
    return parser.parse_args(arguments)


def _refuse_taken(port: int) -> None:
    if not is_free(port):
        raise LocalProblemError(
            f"Port {port} is taken by another program: stop that one, or choose another with `bin/run --port {port + 1}`."
        )


def _start_servers(folder: LocalFolder, supervisor: Supervisor, outside: Mapping[str, str]) -> dict[str, str]:
    """DATABASE_URL and REDIS_URL; a server that the environment names is not started."""
    urls = {name: outside[name] for name in ("DATABASE_URL", "REDIS_URL") if outside.get(name)}
    refuse_silent(urls)
    postgres = valkey = None
    specs: list[Spec] = []
    if "DATABASE_URL" not in urls:
        postgres = Postgres(folder.path, port=folder.port("postgres"), password=folder.secret("postgres"))
        urls["DATABASE_URL"] = postgres.url("vgchub")
        specs.append(postgres.prepare())
    if "REDIS_URL" not in urls:
        valkey = Valkey(folder.path, port=folder.port("valkey"), password=folder.secret("valkey"))
        urls["REDIS_URL"] = valkey.url(0)
        specs.append(valkey.prepare())
    supervisor.start(*specs)
    if postgres is not None:
        postgres.make_database("vgchub")
    return urls


def _start_simulator(folder: LocalFolder, supervisor: Supervisor, outside: Mapping[str, str]) -> dict[str, str]:
    """The STRIPE_* of outside if there is a key, else those of the simulator, started now."""
    if outside.get("STRIPE_SECRET_KEY"):
        return {name: value for name, value in outside.items() if name.startswith("STRIPE_")}
    port = folder.port("simulator")
    supervisor.start(simulator(port=port, folder=folder.path))
    return {
        "STRIPE_SECRET_KEY": folder.secret("stripe_key", prefix="sk_test_"),
        "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
        "STRIPE_WEBHOOK_SECRET": folder.secret("stripe_webhook", prefix="whsec_"),
    }


def _site(folder: LocalFolder, *, port: int, environment: dict[str, str]) -> Site:
    live_port = folder.port("live")
    own = {
        "SECRET_KEY": folder.secret("django"),
        "LOCAL_MODE": "1",
        "DEBUG": "0",
        "SITE_URL": f"http://127.0.0.1:{port}",
        "LIVE_URL": f"ws://127.0.0.1:{live_port}",
        "TRUSTED_PROXIES": "1",  # the crowd's players come from an address each
        "STATIC_ROOT": str(folder.path / "static"),
        "PYTHONWARNINGS": "ignore",
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",  # macOS: workers are forked from a loaded process
    }
    return Site(port=port, live_port=live_port, folder=folder.path, environment={**own, **environment})


def _prepare(folder: LocalFolder, site: Site, say: Callable[[str], None]) -> None:
    """Bring the tables and the static files up to the code, both at once, and only what changed."""
    wanted = {
        "migrate": (fingerprint.of_migrations(), "Making the tables", ("--verbosity=0",)),
        "collectstatic": (fingerprint.of_static_files(), "Collecting the static files", ("--verbosity=0", "--noinput")),
    }
    due = {name: step for name, step in wanted.items() if not folder.is_stamped(name, step[0])}
    if due:
        say(f"{' and '.join(title for _, title, _ in due.values())}; this takes half a minute the first time.")
    begun = {name: _begin(site, folder, name, *options) for name, (_, _, options) in due.items()}
    for name, process in begun.items():
        _finish(process, folder, name)
        folder.stamp(name, due[name][0])


def _begin(site: Site, folder: LocalFolder, *argv: str) -> subprocess.Popen[str]:
    """Start `manage.py ...`, with what it complains about in the log of its name."""
    command, environment = site.step(*argv)
    with (folder.log / f"{argv[0]}.log").open("w") as log:
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            env={**os.environ, **environment},
            cwd=fingerprint.HOUSE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=dies_with_parent(os.getpid(), signal.SIGTERM),  # noqa: PLW1509
        )


def _finish(process: subprocess.Popen[str], folder: LocalFolder, name: str) -> str:
    """What the step printed. Raises LocalProblemError when it failed."""
    output, _ = process.communicate()
    if process.returncode:
        log = folder.log / f"{name}.log"
        tail = "\n".join(log.read_text().splitlines()[-8:])
        raise LocalProblemError(f"`manage.py {name}` failed; the end of {log}:\n{tail}")
    return output


def _introduce(running: Running) -> None:
    print(f"\nVGC Hub is ready: {running.site.url}")
    for email, password in running.logins.items():
        print(f"  {email.split('@')[0] + ':':<11} {email}  password {password}")
    print(f"  mails:      {running.site.url}/local/mailbox/")
    if running.lottery:
        print(f"  a draw in a few minutes: {running.site.url}/t/{running.lottery}/")
    print(f"Logs are in {running.site.folder / 'log'}. Ctrl-C stops everything.\n", flush=True)


def _start_crowd(running: Running, players: int) -> subprocess.Popen[bytes] | None:
    """A crowd beside the site, which reports here."""
    if not players:
        return None
    options = (f"--players={players}", f"--tournament={running.crowd_tournament}")
    command, environment = running.site.step("crowd", *options)
    return subprocess.Popen(  # noqa: S603 - our own command
        command,
        env={**os.environ, **environment},
        cwd=fingerprint.HOUSE,
        preexec_fn=dies_with_parent(os.getpid(), signal.SIGTERM),  # noqa: PLW1509
    )


def _tend_until_told(running: Running, renew: Callable[[], None]) -> None:
    """Until Ctrl-C; each RENEW meanwhile is obeyed between two looks at the children."""
    asked: list[int] = []
    signal.signal(RENEW, lambda number, _frame: asked.append(number))
    try:
        while True:
            running.supervisor.tend()
            time.sleep(TENDING)
            if asked:
                asked.clear()
                renew()
    except KeyboardInterrupt:
        return


def _renew(folder: LocalFolder, running: Running) -> None:
    """Bring tables and static files up to the code, then replace each process by one that has the new code."""
    try:
        _prepare(folder, running.site, print)
        for spec in running.site.processes():
            running.supervisor.replace(spec.name)
            print(f"{spec.name} is new.", flush=True)
    except LocalProblemError as problem:
        print(f"{problem}\nThe rest goes on as it was.", flush=True)


@contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """A second Ctrl-C must not leave half of the children running."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
