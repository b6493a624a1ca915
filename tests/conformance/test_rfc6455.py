"""Autobahn's cases, driven by kosoku, against an echo endpoint of the shipped core.

The endpoint differs from a node's in limits (9.* sends messages of 16 MiB and of 65,536 fragments)
and in that it echoes. Groups 12 and 13 (permessage-deflate) take minutes and run on demand:

    CONFORMANCE_DEFLATE=1 .venv/bin/python -m pytest tests/conformance
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import pytest
from kosoku import FailureError, run_fuzzingclient

from chatrooms._core import Core

if TYPE_CHECKING:
    from kosoku._kosoku import CaseResult

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(600),
    # kosoku does not close the files that its groups 12 and 13 send.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

# How many cases a group has, so that a selection that ran nothing cannot pass.
FRAMING: Final = {
    "1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1,
}  # fmt: skip
DEFLATE: Final = {
    "12.1": 18, "12.2": 18, "12.3": 18, "12.4": 18, "12.5": 18,
    "13.1": 18, "13.2": 18, "13.3": 18, "13.4": 18, "13.5": 18, "13.6": 18, "13.7": 18,
}  # fmt: skip
CASES_AT_ONCE: Final = 4
# NON-STRICT passes for kosoku; it departs from a SHOULD of RFC 6455, and we have no reason to.
GOOD: Final = frozenset({"OK", "INFORMATIONAL"})

Record = Callable[[str, object], None]


@pytest.fixture
def echo(group: str) -> Iterator[str]:
    """An echo endpoint on a free port, as a WebSocket URL."""
    core = Core(
        host="127.0.0.1",
        port=0,
        epoch="conformance",
        echo=True,
        deflate=group in DEFLATE,
        rate_limits=False,
        message_bytes_max=17 * 1_048_576,
        fragments_max=100_000,
    )
    core.start()
    try:
        host, port = core.address()
        yield f"ws://{host}:{port}"
        assert core.counters()["panics"] == 0
    finally:
        core.stop()


@pytest.mark.parametrize(
    "group", [*FRAMING, *(DEFLATE if "CONFORMANCE_DEFLATE" in os.environ else ())]
)
def test_every_case_of_the_group_is_passed_strictly(
    group: str, echo: str, record_property: Record
) -> None:
    """Message exchange and closing handshake of each case are as RFC 6455 and RFC 7692 say."""
    results = asyncio.run(_run(echo, f"{group}.*"))
    record_property("verdicts", dict(Counter(result.behavior.value for result in results)))
    bad = [_sentence(result) for result in results if not _verdicts(result) <= GOOD]
    assert not bad, "\n".join(bad)
    assert len(results) == (FRAMING | DEFLATE)[group]


async def _run(url: str, cases: str) -> "list[CaseResult]":
    try:
        return await run_fuzzingclient(url, [cases], concurrency=CASES_AT_ONCE)
    except FailureError as failure:
        return list(failure.results)


def _verdicts(result: "CaseResult") -> set[str]:
    return {result.behavior.value, result.behavior_close.value}


def _sentence(result: "CaseResult") -> str:
    verdicts = f"{result.behavior.value}, close {result.behavior_close.value}"
    return f"{result.case_id}: {verdicts}; {result.result} {result.result_close}"
