"""wrk, the load where the load itself has to cost next to nothing: connections that ask again as soon as they are answered."""

import json
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vgchub.local.problems import LocalProblemError

THREADS = 1

# Each request gets the next of the cookies; at the end, latencies come in microseconds.
SCRIPT = """
local cookies, at = {}, 0
for line in io.lines("%s") do cookies[#cookies + 1] = line end
if #cookies > 0 then
  request = function()
    at = at %% #cookies + 1
    wrk.headers["Cookie"] = cookies[at]
    return wrk.format()
  end
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests":%%d,"seconds":%%f,"bytes":%%d,"errors":%%d,"p50":%%f,"p95":%%f,"p99":%%f}\\n',
    summary.requests, summary.duration / 1e6, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


def refuse_missing() -> None:
    """Raises LocalProblemError, with how to install it, unless wrk is there."""
    if shutil.which("wrk") is None:
        raise LocalProblemError("wrk is missing: `apt-get install wrk` brings it, on macOS `brew install wrk`.")


def storm(
    url: str, *, seconds: int, connections: int, headers: Mapping[str, str] | None = None, cookies: Sequence[str] = ()
) -> dict[str, Any]:
    """`rate` (answers a second that are no error), `errors`, percentiles, `bytes` of an answer, `generator_share` of one core."""
    with tempfile.TemporaryDirectory(prefix="vgchub-wrk-") as name:
        listed, script = Path(name, "cookies"), Path(name, "storm.lua")
        listed.write_text("".join(f"{cookie}\n" for cookie in cookies))
        script.write_text(SCRIPT % listed)
        argv = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout=10s", f"--script={script}"]
        for header, value in (headers or {}).items():
            argv += ["-H", f"{header}: {value}"]
        before = _cpu_of_children()
        printed = subprocess.run([*argv, url], check=True, capture_output=True, text=True).stdout  # noqa: S603
        share = (_cpu_of_children() - before) / seconds
    told = json.loads(printed.strip().rsplit("\n", 1)[-1])
    answered = told["requests"] - told["errors"]
    return {
        "rate": round(answered / told["seconds"], 1),
        "errors": told["errors"],
        **{f"{name}_ms": round(told[name] / 1000, 1) for name in ("p50", "p95", "p99")},
        "bytes": round(told["bytes"] / max(1, told["requests"])),
        "generator_share": round(share, 3),
    }


def _cpu_of_children() -> float:
    """Of processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
