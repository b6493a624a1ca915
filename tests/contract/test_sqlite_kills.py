"""kill -9 at every failpoint: what was acked is there once, what was not may be sent again."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chatrooms.adapters import sqlite
from chatrooms.domain.room import Kind
from tests.contract.scenes import Clock, Scene, stored

BATCH = 8
# Sends batches of BATCH messages for ever and prints the cids of each batch that was acked.
VICTIM = """
import asyncio, itertools, json, sys
from pathlib import Path
from chatrooms.adapters import sqlite
from chatrooms.domain.room import Kind
from chatrooms.ports.log import Post

async def main(directory, place, nth, size):
    store = sqlite.open_store(Path(directory), failpoints={place: ("abort", int(nth))})
    await store.start()
    (anna,) = await store.accounts.ensure(["anna"])
    await store.rooms.create(anna.id, Kind.PUBLIC, "Lobby", "lobby")
    for i in itertools.count():
        cids = [f"c{i}-{j}" for j in range(int(size))]
        posts = [Post("lobby", anna.id, cid, "{}", None, None) for cid in cids]
        outcomes = await store.log.append(posts)
        print(json.dumps([[c, o.seq] for c, o in zip(cids, outcomes)]), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def run_until_killed(directory: Path, place: str, nth: int) -> list[tuple[str, int]]:
    """The (cid, seq) that were acked before the process died of its failpoint."""
    victim = subprocess.run(
        [sys.executable, "-c", VICTIM, str(directory), place, str(nth), str(BATCH)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    return [(cid, seq) for line in victim.stdout.splitlines() for cid, seq in json.loads(line)]


@pytest.mark.parametrize("nth", [1, 5])
@pytest.mark.parametrize(
    ("place", "survives"),
    [("store.before_commit", False), ("store.mid_commit", False), ("store.after_commit", True)],
)
async def test_acked_messages_survive_a_kill_at(
    tmp_path: Path, place: str, nth: int, *, survives: bool
) -> None:
    """The batch at the failpoint is whole or absent, never acked; a retry completes it."""
    acked = await asyncio.to_thread(run_until_killed, tmp_path, place, nth)
    assert len(acked) == (nth - 1) * BATCH
    scene = Scene(sqlite.open_store(tmp_path), Clock())
    await scene.begin()
    events = [json.loads(line) for line in await scene.lines("lobby")]
    found = [(event["cid"], event["seq"]) for event in events if event["t"] == "msg"]
    lost = [f"c{nth - 1}-{j}" for j in range(BATCH)]
    assert found[: len(acked)] == acked
    assert [cid for cid, _ in found[len(acked) :]] == (lost if survives else [])
    posts = [scene.post("lobby", scene.anna, cid, "x") for cid in lost]
    posts = [post._replace(body="{}") for post in posts]
    again = [stored(outcome) for outcome in await scene.store.log.append(posts)]
    assert [outcome.dup for outcome in again] == [survives] * BATCH
    first = 3 + len(acked)
    assert [outcome.seq for outcome in again] == list(range(first, first + BATCH))
    assert [problems async for *_, problems in scene.store.log.walk() if problems] == []
    await scene.store.close()


async def test_changes_alone_set_off_no_failpoint(tmp_path: Path) -> None:
    """Places are counted in batches with messages, so that a test can aim."""
    points = {"store.mid_commit": ("abort", 1)}
    store = sqlite.open_store(tmp_path, failpoints=points)
    await store.start()
    await store.rooms.create("anna", Kind.PUBLIC, "x")
    await store.close()
