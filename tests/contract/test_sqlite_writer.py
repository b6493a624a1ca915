"""The SQLite writer: group commit, its bounds, its crossings, and failures that stay small."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chatrooms.adapters import sqlite
from chatrooms.adapters.sqlite import writer
from chatrooms.adapters.sqlite.transaction import Transaction
from chatrooms.adapters.sqlite.writer import EVENTS_WAITING_MAX, Writer
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.log import Commit
from tests.contract.scenes import Clock, Scene, refused, stored


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene on SQLite."""
    clock = Clock()
    scene = Scene(sqlite.open_store(tmp_path, clock=clock), clock)
    await scene.begin()
    yield scene
    await scene.store.close()


def writer_of(scene: Scene) -> Writer:
    """The writer inside the store."""
    assert isinstance(scene.store, sqlite.SqliteStore)
    return scene.store._writer


class Pause:
    """Holds the writer thread inside a change until it is let go."""

    def __init__(self) -> None:
        self._let_go = threading.Event()
        self._held = threading.Event()

    async def hold(self, scene: Scene) -> asyncio.Future[None]:
        """Returns once the writer is held."""
        held = asyncio.ensure_future(writer_of(scene).change(self._wait))
        await asyncio.to_thread(self._held.wait)
        return held

    def release(self) -> None:
        """Lets the writer go on."""
        self._let_go.set()

    def _wait(self, _: Transaction) -> None:
        self._held.set()
        self._let_go.wait()


async def test_what_waits_becomes_one_commit(scene: Scene) -> None:
    """Ten callers who came while the writer was busy share one sync."""
    room = await scene.room()
    pause = Pause()
    held = await pause.hold(scene)
    scene.commits.clear()
    calls = [asyncio.ensure_future(scene.say(room, 3)) for _ in range(10)]
    await asyncio.sleep(0)
    pause.release()
    await asyncio.gather(held, *calls)
    assert [len(commit.outcomes) for commit in scene.commits] == [0, 30]
    assert [run.room for run in scene.commits[1].runs] == [room]


async def test_transaction_takes_512_messages_and_one_mebibyte(scene: Scene) -> None:
    """What does not fit waits for the next."""
    room = await scene.room()
    pause = Pause()
    held = await pause.hold(scene)
    scene.commits.clear()
    calls = [asyncio.ensure_future(scene.say(room, 200)) for _ in range(4)]
    large = [scene.post(room, scene.anna, text="x" * 16_000) for _ in range(40)]
    calls += [asyncio.ensure_future(scene.store.log.append(large)) for _ in range(2)]
    await asyncio.sleep(0)
    pause.release()
    await asyncio.gather(held, *calls)
    assert [len(commit.outcomes) for commit in scene.commits] == [0, 400, 440, 40]


@pytest.mark.parametrize("size", [1, 2, 3, 64, 511, 512])
async def test_commit_crosses_into_sqlite_a_fixed_number_of_times(scene: Scene, size: int) -> None:
    """Begin, look up, insert, heads, commit: five statements for one message or 512."""
    rooms = [await scene.room() for _ in range(3)]
    statements: list[str] = []
    await writer_of(scene).change(lambda tx: tx.db.set_trace_callback(statements.append))
    posts = [scene.post(rooms[i % 3], scene.anna) for i in range(size)]
    await scene.store.log.append(posts)
    await writer_of(scene).change(lambda tx: tx.db.set_trace_callback(None))
    begin = statements.index("BEGIN IMMEDIATE")
    commit = statements.index("COMMIT", begin)
    assert commit - begin + 1 == 5


async def test_doubles_inside_a_batch_cost_no_second_try(scene: Scene) -> None:
    """They are found before SQLite refuses them, so the batch is written once."""
    room = await scene.room()
    statements: list[str] = []
    await writer_of(scene).change(lambda tx: tx.db.set_trace_callback(statements.append))
    posts = [scene.post(room, scene.anna, cid) for cid in ("one", "two", "one")]
    outcomes = await scene.store.log.append(posts)
    await writer_of(scene).change(lambda tx: tx.db.set_trace_callback(None))
    assert [stored(outcome).dup for outcome in outcomes] == [False, False, True]
    assert "ROLLBACK" not in statements


async def test_waiting_bodies_are_bounded_in_bytes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has been answered no longer counts."""
    monkeypatch.setattr(writer, "BYTES_WAITING_MAX", 40_000)
    room = await scene.room()
    posts = [scene.post(room, scene.anna, text="x" * 15_000) for _ in range(2)]
    for _ in range(3):
        await scene.store.log.append(posts)
    pause = Pause()
    held = await pause.hold(scene)
    call = asyncio.ensure_future(scene.store.log.append(posts))
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refusal:
        await scene.store.log.append(posts)
    assert refused(refusal.value) is Code.OVERLOADED
    pause.release()
    await asyncio.gather(held, call)


async def test_full_queue_refuses_at_once_and_stores_nothing(scene: Scene) -> None:
    """The bound is in messages; those admitted are stored."""
    room = await scene.room()
    pause = Pause()
    held = await pause.hold(scene)
    calls = [
        asyncio.ensure_future(scene.say(room, 2_000)) for _ in range(EVENTS_WAITING_MAX // 2_000)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refusal:
        await scene.say(room, 2_000)
    assert refused(refusal.value) is Code.OVERLOADED
    pause.release()
    await asyncio.gather(held, *calls)
    assert await scene.head(room) == 2 + 2_000 * len(calls)


async def test_caller_who_stops_waiting_stops_nobody_else(scene: Scene) -> None:
    """A cancelled append may be stored; its neighbours are answered."""
    room = await scene.room()
    pause = Pause()
    held = await pause.hold(scene)
    gone = asyncio.ensure_future(scene.say(room))
    kept = asyncio.ensure_future(scene.say(room))
    await asyncio.sleep(0)
    gone.cancel()
    pause.release()
    await held
    assert stored((await kept)[0]).seq == 4


async def test_listener_that_fails_leaves_nobody_waiting(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers are answered even when fan-out breaks."""
    room = await scene.room()

    def broken(_: Commit) -> None:
        raise RuntimeError("fan-out broke")

    scene.store.log.on_commit(broken)
    assert stored((await scene.say(room))[0]).seq == 3
    assert "commit listener failed" in caplog.text


async def test_damaged_room_fails_alone(scene: Scene) -> None:
    """A row in the way of one room's next seq is no trouble to another room's batch."""
    one, two = await scene.room(), await scene.room()

    def plant(tx: Transaction) -> None:
        tx.db.execute(
            "INSERT INTO events (room, seq, line) SELECT num, 3, '{}' FROM rooms WHERE id = ?",
            (one,),
        )

    await writer_of(scene).change(plant)
    posts = [scene.post(room, scene.anna) for room in (one, two, one, two)]
    outcomes = await scene.store.log.append(posts)
    assert [refused(outcomes[i]) for i in (0, 2)] == [Code.INTERNAL] * 2
    assert [stored(outcomes[i]).seq for i in (1, 3)] == [3, 4]


async def test_change_that_breaks_is_internal_and_undone(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Its savepoint goes back, the commit goes on."""
    room = await scene.room()

    def broken(tx: Transaction) -> None:
        tx.db.execute("DELETE FROM members")
        raise ZeroDivisionError

    results = await asyncio.gather(
        writer_of(scene).change(broken), scene.say(room), return_exceptions=True
    )
    assert refused(results[0]) is Code.INTERNAL
    assert not isinstance(results[1], BaseException)
    assert stored(results[1][0]).seq == 3
    assert "a change of the store failed" in caplog.text


async def test_closed_store_refuses(scene: Scene) -> None:
    """After close nothing hangs."""
    room = await scene.room()
    await scene.store.close()
    with pytest.raises(Refusal) as refusal:
        await scene.say(room)
    assert refused(refusal.value) is Code.UNAVAILABLE
    with pytest.raises(Refusal) as refusal:
        await scene.head(room)
    assert refused(refusal.value) is Code.UNAVAILABLE


async def test_close_stores_what_waits(scene: Scene, tmp_path: Path) -> None:
    """Appends made before close are answered, and are there."""
    room = await scene.room()
    calls = [asyncio.ensure_future(scene.say(room, 10)) for _ in range(5)]
    await asyncio.sleep(0)
    await scene.store.close()
    assert [len(outcomes) for outcomes in await asyncio.gather(*calls)] == [10] * 5
    with sqlite3.connect(tmp_path / "chat.db") as db:
        assert db.execute("SELECT count(*) FROM events WHERE cid IS NOT NULL").fetchone() == (50,)
    db.close()


async def test_two_stores_write_one_file_without_a_gap(tmp_path: Path) -> None:
    """Nodes that share the directory take turns by the lock of the database."""
    clock = Clock()
    one = Scene(sqlite.open_store(tmp_path, shared=True, clock=clock), clock)
    two = Scene(sqlite.open_store(tmp_path, shared=True, clock=clock), clock)
    await one.begin()
    await two.begin()
    assert one.anna == two.anna
    room = await one.room()
    posts = [one.post(room, one.anna, f"c{i}") for i in range(20)]
    await asyncio.gather(
        *(scene.store.log.append([post]) for post in posts for scene in (one, two))
    )
    assert await one.lines(room) == await two.lines(room)
    assert await one.head(room) == 22
    assert sorted(one.told(room)[2:] + two.told(room)) == sorted((await one.lines(room))[2:])
    await one.store.close()
    await two.store.close()
