"""Big-room fan-out, stored and signal, beside picows and websockets in the same run.

Measured: deliveries per server-CPU-second (user and system time of the server process, all threads
and children), rounds interleaved over the servers, medians of ROUNDS. A lost or surplus delivery
fails the run. `pytest bench -k fanout -s`, or `make bench`.
"""

import os
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from bench.arena import Server, chatrooms, peer

MEMBERS = int(os.environ.get("BENCH_MEMBERS", "1000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MESSAGES = int(os.environ.get("BENCH_MESSAGES", "300"))


def _open(stack: ExitStack) -> list[Server]:
    servers = [
        stack.enter_context(chatrooms(MEMBERS, name="chatrooms stored")),
        stack.enter_context(chatrooms(MEMBERS, signals=True, name="chatrooms signal")),
        stack.enter_context(peer("picows_room")),
        stack.enter_context(peer("websockets_room")),
    ]
    for server in servers:
        server.ask(do="open", members=MEMBERS, **server.dialect)
    return servers


def _round(server: Server, job: dict[str, Any]) -> dict[str, float]:
    receivers = MEMBERS - server.receivers_less
    before = server.cpu_seconds()
    answer = server.ask(receivers=receivers, **job)
    spent = server.cpu_seconds() - before
    surplus = server.ask(do="surplus")["surplus"]
    assert surplus == 0, f"{server.name}: {surplus} deliveries too many"
    answer["per_cpu_second"] = answer["deliveries"] / spent
    return answer


def _report(title: str, results: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    base = statistics.median(it["per_cpu_second"] for it in results["picows_room"])
    print(f"\n{title}: 1 room x {MEMBERS}, thousands of deliveries per server-CPU-second")
    for name, rounds in results.items():
        speeds = sorted(it["per_cpu_second"] / 1e3 for it in rounds)
        median = statistics.median(speeds)
        figures[name] = {"median": median, "min": speeds[0], "max": speeds[-1]}
        more = ""
        if "p99_ms" in rounds[0]:
            p50 = statistics.median(it["p50_ms"] for it in rounds)
            p99 = statistics.median(it["p99_ms"] for it in rounds)
            figures[name] |= {"p50_ms": p50, "p99_ms": p99}
            more = f"  p50 {p50:.1f} ms  p99 {p99:.1f} ms"
        ratio = median * 1e3 / base
        print(
            f"  {name:18} {median:8.0f}  ({speeds[0]:.0f}..{speeds[-1]:.0f})  "
            f"x picows {ratio:.2f}{more}"
        )
        figures[name]["ratio_to_picows"] = ratio
    return figures


def _jobs() -> list[tuple[str, dict[str, Any]]]:
    closed = {"do": "closed", "messages": MESSAGES}
    return [
        ("20 a second, open loop", {"do": "open_loop", "rate": 20.0, "seconds": 3.0}),
        ("closed loop, 2 in flight", closed | {"in_flight": 2}),
        ("closed loop, 8 in flight", closed | {"in_flight": 8, "messages": 3 * MESSAGES}),
        ("closed loop, 32 in flight", closed | {"in_flight": 32, "messages": 3 * MESSAGES}),
    ]


@pytest.mark.macro
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("title", "job"), _jobs())
def test_fanout_beside_peers(
    benchmark: Callable[..., Any], title: str, job: dict[str, Any]
) -> None:
    """A stored delivery costs no more server CPU than one of picows, which keeps nothing."""
    with ExitStack() as stack:
        servers = _open(stack)
        results: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}

        def interleaved() -> None:
            for server in servers:
                results[server.name].append(_round(server, job))

        benchmark.pedantic(interleaved, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[attr-defined]
        for rounds in results.values():
            del rounds[0]  # the warm-up
    figures = _report(title, results)
    benchmark.extra_info.update(figures)  # type: ignore[attr-defined]
    assert figures["chatrooms stored"]["ratio_to_picows"] >= 1.0
