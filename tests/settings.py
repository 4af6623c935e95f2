"""The site's settings on databases that belong to one test worker.

The environment itself is changed, so that processes which a test starts (`manage.py`, the site) see the same databases.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from vgchub.local.ports import free_port


def of_this_worker(environment: Mapping[str, str]) -> dict[str, str]:
    """DATABASE_URL and REDIS_URL of this xdist worker; of the run as a whole when there are no workers.

    Workers inherit what the process that started them set here, so that its marks are taken off first.
    """
    worker = environment.get("PYTEST_XDIST_WORKER", "")
    database = re.sub(r"_test(_gw\d+)?$", "", environment["DATABASE_URL"])
    redis = environment.get("TEST_REDIS_URL", environment["REDIS_URL"])
    number = int(urlsplit(redis).path.strip("/") or 0) * 16 + 1 + int(worker.removeprefix("gw") or 0)
    return {
        "DATABASE_URL": f"{database}_test{worker and '_' + worker}",
        "TEST_REDIS_URL": redis,
        "REDIS_URL": urlsplit(redis)._replace(path=f"/{number}").geturl(),
    }


def addresses() -> dict[str, str]:
    """Where this worker's site and simulator will answer, for the tests that start them."""
    site, live, stripe = free_port(), free_port(), free_port()
    return {
        "SITE_URL": f"http://127.0.0.1:{site}",
        "LIVE_URL": f"ws://127.0.0.1:{live}",
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe}",
        "STRIPE_SECRET_KEY": "sk_test_" + "0123456789abcdef" * 2,
        "STRIPE_WEBHOOK_SECRET": "whsec_" + "0123456789abcdef" * 2,
    }


os.environ |= of_this_worker(os.environ) | addresses() | {"LOCAL_MODE": "1", "DEBUG": "0", "TRUSTED_PROXIES": "1"}
os.environ["SHELF_SECONDS"] = "0"  # a test sees what it has just done
os.environ["STRIPE_CALLS_PER_SECOND"] = "1000"  # tests of the budget set it; the others should not wait
os.environ.setdefault("SECRET_KEY", "a-key-for-tests-only-0123456789-0123456789-0123456789")

from vgchub.settings import *  # noqa: E402, F403

# On a busy machine a slow Redis is none that is away.
CACHES["default"]["OPTIONS"] |= {"SOCKET_CONNECT_TIMEOUT": 20, "SOCKET_TIMEOUT": 20}  # noqa: F405

# In-process requests need no collected files; the site that browsers see has them.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
