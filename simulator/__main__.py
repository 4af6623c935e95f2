"""`python -m simulator --port 12111 --data .local/simulator.sqlite3`"""

import argparse

import uvicorn

from simulator.app import create_app
from simulator.settings import Settings
from simulator.wire import Protocol


def main() -> None:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="simulator", description="Speaks the part of Stripe's API that the site uses."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--data", help="SQLite file that keeps the state; without it a stop forgets everything")
    parser.add_argument("--public-url", help="address of the hosted pages for browsers (default: host and port)")
    parser.add_argument("--retry-scale", type=float, default=defaults.retry_scale, help="times Stripe's pauses")
    parser.add_argument("--misbehave", type=int, metavar="SEED", help="fail, hurry and forget at random, by this seed")
    parser.add_argument("--misbehave-share", type=float, default=defaults.misbehave_share, help="how much of it all")
    parser.add_argument("--log-level", default="warning")
    given = parser.parse_args()
    settings = Settings(
        public_url=(given.public_url or f"http://{given.host}:{given.port}").rstrip("/"),
        data=given.data,
        retry_scale=given.retry_scale,
        misbehave=given.misbehave,
        misbehave_share=given.misbehave_share,
    )
    uvicorn.run(
        create_app(settings),
        host=given.host,
        port=given.port,
        http=Protocol,
        log_level=given.log_level,
        access_log=given.log_level in {"debug", "info"},
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
