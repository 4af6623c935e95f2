"""Gunicorn's configuration under the supervisor: the first worker that can answer says so. Read as a file, not imported."""

import os
from contextlib import suppress


def post_worker_init(worker: object) -> None:  # noqa: ARG001  gunicorn's signature
    with suppress(OSError):  # the supervisor heard of an earlier worker, and is gone
        os.write(int(os.environ["READY_FD"]), b".")
