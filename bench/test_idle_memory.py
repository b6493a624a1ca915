"""Memory and CPU of an idle connection: authenticated, its private log and one of 15 rooms.

The slope of the server's resident memory between FEW and MANY connections, so that what the process
needs anyway does not count. `pytest bench -k idle -s`. Needs about MANY + 200 open files a process.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from bench.arena import chatrooms

FEW = int(os.environ.get("BENCH_FEW", "5000"))
MANY = int(os.environ.get("BENCH_MANY", "15000"))
ROOMS = 15
BYTES_MAX = 1024
SECONDS = 10


@pytest.mark.macro
@pytest.mark.timeout(600)
def test_idle_connection_stays_within_a_kibibyte(benchmark: Callable[..., Any]) -> None:
    """An idle, subscribed connection costs at most 1 KiB of the server's memory."""
    with chatrooms(MANY, rooms=ROOMS) as server:
        server.ask(do="open", members=FEW, **server.dialect)
        time.sleep(2)
        few = server.rss_bytes()
        server.ask(do="grow", members=MANY - FEW)
        time.sleep(2)
        slope = (server.rss_bytes() - few) / (MANY - FEW)
        before = server.cpu_seconds()

        benchmark.pedantic(time.sleep, args=(SECONDS,), rounds=1)  # type: ignore[attr-defined]
        idle_us = (server.cpu_seconds() - before) * 1e6 / SECONDS / MANY
    figures = {"bytes_per_connection": slope, "cpu_us_per_connection_second": idle_us}
    benchmark.extra_info.update(figures)  # type: ignore[attr-defined]
    print(
        f"\nidle: {slope:.0f} bytes a connection ({FEW} to {MANY}), "
        f"{idle_us:.2f} us of CPU a second each"
    )
    assert slope <= BYTES_MAX
