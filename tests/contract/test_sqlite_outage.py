"""Disk full, disk broken, database locked: a typed error, nothing acked, and it heals by itself."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from chatrooms.adapters import sqlite
from chatrooms.domain.errors import Code, Refusal
from tests.contract.scenes import Clock, Scene, refused, stored


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene on SQLite."""
    clock = Clock()
    scene = Scene(sqlite.open_store(tmp_path, clock=clock), clock)
    await scene.begin()
    yield scene
    await scene.store.close()


async def limit_pages(scene: Scene, pages: int) -> None:
    """Lets the database grow by no more than `pages` pages."""
    assert isinstance(scene.store, sqlite.SqliteStore)
    await scene.store._writer.change(
        lambda tx: tx.db.execute(
            f"PRAGMA max_page_count = {tx.db.execute('PRAGMA page_count').fetchone()[0] + pages}"
        ).fetchone()
    )


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow beyond (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def fill(scene: Scene, room: str) -> tuple[list[str], str]:
    """Sends until the store refuses: the cids acked, and the one refused."""
    acked: list[str] = []
    while True:
        post = scene.post(room, scene.anna, text="x" * 4_000)
        (result,) = await asyncio.gather(scene.store.log.append([post]), return_exceptions=True)
        if isinstance(result, BaseException):
            assert refused(result) is Code.UNAVAILABLE
            return acked, post.cid
        assert not stored(result[0]).dup
        acked.append(post.cid)


async def test_full_disk_refuses_and_heals(scene: Scene) -> None:
    """Acked messages are there, the refused one is not until it is sent again."""
    room = await scene.room()
    await limit_pages(scene, 30)
    acked, refused_cid = await fill(scene, room)
    assert acked
    for change in (
        scene.store.accounts.create("dora", "Dora", None),
        scene.store.rooms.join(scene.bert, room),
    ):
        await asyncio.gather(change, return_exceptions=True)
    head = await scene.head(room)
    with pytest.raises(Refusal) as refusal:
        await scene.store.log.append(
            [scene.post(room, scene.anna, refused_cid, "x" * 4_000) for _ in range(1)]
        )
    assert refused(refusal.value) is Code.UNAVAILABLE
    assert await scene.head(room) == head
    await limit_pages(scene, 100_000)
    again = await scene.store.log.append(
        [scene.post(room, scene.anna, cid, "x" * 4_000) for cid in [*acked, refused_cid]]
    )
    assert [stored(outcome).dup for outcome in again] == [True] * len(acked) + [False]
    assert [problems async for *_, problems in scene.store.log.walk() if problems] == []


async def test_failing_disk_refuses_and_heals(scene: Scene, tmp_path: Path) -> None:
    """The kernel's refusal to write (EFBIG) is `unavailable`; with room again all goes on."""
    room = await scene.room()
    wal = tmp_path / "chat.db-wal"
    with files_no_larger_than(wal.stat().st_size + 100_000):
        acked, refused_cid = await fill(scene, room)
        with pytest.raises(Refusal) as refusal:
            await scene.say(room, 500)
        assert refused(refusal.value) is Code.UNAVAILABLE
        assert await scene.head(room)
    again = await scene.store.log.append(
        [scene.post(room, scene.anna, cid, "x" * 4_000) for cid in [*acked, refused_cid]]
    )
    assert [stored(outcome).dup for outcome in again] == [True] * len(acked) + [False]
    assert [problems async for *_, problems in scene.store.log.walk() if problems] == []


async def test_commits_told_during_an_outage_are_those_that_happened(scene: Scene) -> None:
    """The listener never hears of what was rolled back."""
    room = await scene.room()
    await limit_pages(scene, 10)
    await fill(scene, room)
    await limit_pages(scene, 100_000)
    await scene.say(room)
    assert scene.told(room) == await scene.lines(room)


async def test_locked_database_is_waited_for_and_then_unavailable(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those who came meanwhile are refused with the first, not after a wait of their own."""
    room = await scene.room()
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    calls = [asyncio.ensure_future(scene.say(room, 512)) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [refused(result) for result in results] == [Code.UNAVAILABLE] * 4
    assert [x.getMessage() for x in caplog.records] == [
        "the store refused 4 jobs: database is locked"
    ]
    assert await scene.head(room) == 2
    other.execute("ROLLBACK")
    other.close()
    assert stored((await scene.say(room))[0]).seq == 3


async def test_lock_that_ends_in_time_costs_nothing(scene: Scene, tmp_path: Path) -> None:
    """A short writer beside us is waited for."""
    room = await scene.room()
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    call = asyncio.ensure_future(scene.say(room))
    await asyncio.sleep(0)
    other.execute("ROLLBACK")
    other.close()
    assert stored((await call)[0]).seq == 3
