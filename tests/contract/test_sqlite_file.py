"""What is served and what is refused: locks, versions, damage, rollback; one sentence each."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from chatrooms.adapters import sqlite
from chatrooms.adapters.sqlite import StoreUnusable
from chatrooms.domain.room import Kind
from tests.contract.scenes import Clock, Scene, stored


async def filled(directory: Path, messages: int = 5) -> tuple[str, str]:
    """A store used and closed: (room, epoch)."""
    scene = Scene(sqlite.open_store(directory), Clock())
    await scene.begin()
    room = await scene.room(scene.bert)
    await scene.say(room, messages)
    epoch = scene.store.log.epoch
    await scene.store.close()
    return room, epoch


def edit(directory: Path, *statements: str) -> None:
    """Changes the database behind the store's back."""
    db = sqlite3.connect(directory / "chat.db", isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def forget_database(directory: Path) -> None:
    """Deletes the database and leaves the rest."""
    for path in directory.glob("chat.db*"):
        path.unlink()


def sentence(directory: Path) -> str:
    """The one sentence that an unusable directory is refused with."""
    with pytest.raises(StoreUnusable) as refusal:
        sqlite.open_store(directory)
    text = str(refusal.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert str(directory) in text
    return text


async def test_restart_keeps_everything(tmp_path: Path) -> None:
    """Epoch, log, members and cids; seq goes on."""
    room, epoch = await filled(tmp_path)
    scene = Scene(sqlite.open_store(tmp_path), Clock())
    await scene.begin()
    assert scene.store.log.epoch == epoch
    assert await scene.head(room) == 8
    members = await scene.store.rooms.members(room, 9, None)
    assert {member.username for member in members} == {"anna", "bert"}
    again = await scene.store.log.append(
        [scene.post(room, scene.anna, "cid-0"), scene.post(room, scene.anna, "new")]
    )
    assert [(stored(x).dup, stored(x).seq) for x in again] == [(True, 4), (False, 9)]
    await scene.store.close()


async def test_data_directory_serves_one_node(tmp_path: Path) -> None:
    """A second is told who holds it; closing frees it."""
    store = sqlite.open_store(tmp_path)
    assert "in use by another node (process " in sentence(tmp_path)
    with pytest.raises(StoreUnusable):
        sqlite.open_store(tmp_path, shared=True)
    await store.start()
    await store.close()
    first, second = (sqlite.open_store(tmp_path, shared=True) for _ in range(2))
    assert "in use" in sentence(tmp_path)
    for shared in (first, second):
        await shared.start()
        await shared.close()


async def test_refused_directory_is_not_left_locked(tmp_path: Path) -> None:
    """The operator repairs it and starts again without another step."""
    await filled(tmp_path)
    edit(tmp_path, "PRAGMA user_version = 99")
    sentence(tmp_path)
    edit(tmp_path, "PRAGMA user_version = 1")
    store = sqlite.open_store(tmp_path)
    await store.start()
    await store.close()


def test_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "data").write_text("x")
    assert "cannot be used" in sentence(tmp_path / "data")


async def test_newer_database_is_refused(tmp_path: Path) -> None:
    """A downgrade would not know what it reads."""
    await filled(tmp_path)
    edit(tmp_path, "PRAGMA user_version = 2")
    assert "newer chatrooms (schema 2" in sentence(tmp_path)


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """It is not migrated into a chat."""
    edit(tmp_path, "CREATE TABLE theirs (x)")
    assert "belongs to another program" in sentence(tmp_path)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is left as it is."""
    (tmp_path / "chat.db").write_bytes(b"not a database" * 1000)
    assert "damaged or not a database" in sentence(tmp_path)
    assert (tmp_path / "chat.db").read_bytes().startswith(b"not a database")


async def test_damaged_database_is_refused(tmp_path: Path) -> None:
    """A page of zeros in the middle is noticed before anything is served."""
    await filled(tmp_path, 400)
    with (tmp_path / "chat.db").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\x55" * 4096)
    assert "damaged" in sentence(tmp_path)


async def test_database_without_epoch_is_refused(tmp_path: Path) -> None:
    """Its identity is gone."""
    await filled(tmp_path)
    edit(tmp_path, "DELETE FROM meta")
    assert "no epoch" in sentence(tmp_path)


async def test_older_copy_of_the_database_is_refused_until_accepted(tmp_path: Path) -> None:
    """Accepting draws a new epoch, so that clients drop what the copy does not have."""
    _, epoch = await filled(tmp_path)
    shutil.copy(tmp_path / "chat.db", tmp_path / "backup")
    await filled(tmp_path)
    for name in ("chat.db-wal", "chat.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup", tmp_path / "chat.db")
    assert "--accept-rollback" in sentence(tmp_path)
    store = sqlite.open_store(tmp_path, accept_rollback=True)
    fresh = store.log.epoch
    assert fresh != epoch
    await store.start()
    await store.close()
    store = sqlite.open_store(tmp_path)
    assert store.log.epoch == fresh
    await store.start()
    await store.close()


async def test_vanished_database_is_refused(tmp_path: Path) -> None:
    """An empty new one in its place would lose everything silently."""
    await filled(tmp_path)
    forget_database(tmp_path)
    assert "messages are missing" in sentence(tmp_path)


async def test_unreadable_high_water_is_refused_until_accepted(tmp_path: Path) -> None:
    """Nobody could say whether something is missing."""
    await filled(tmp_path)
    (tmp_path / "high-water").write_text("{")
    assert "--accept-rollback" in sentence(tmp_path)
    store = sqlite.open_store(tmp_path, accept_rollback=True)
    await store.start()
    await store.close()
    assert json.loads((tmp_path / "high-water").read_text())["pos"] > 0


async def test_accepting_nothing_keeps_the_epoch(tmp_path: Path) -> None:
    """The flag left in a start script does no harm."""
    _, epoch = await filled(tmp_path)
    store = sqlite.open_store(tmp_path, accept_rollback=True)
    assert store.log.epoch == epoch
    await store.start()
    await store.close()


THERE = "room = (SELECT num FROM rooms WHERE id = '{room}')"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM events WHERE seq BETWEEN 5 AND 6 AND {where}", "seq 5 to 6 missing"),
        (
            (
                "INSERT INTO events (room, seq, n, line) "
                "SELECT room, seq, n, line FROM events WHERE seq = 5 AND {where}"
            ),
            "seq 5 stored 2 times",
        ),
        (
            "UPDATE events SET cid = 'cid-0' WHERE seq = 6 AND {where}",
            "one cid stored twice, seq 4 and 6",
        ),
        ("UPDATE events SET line = 'x' WHERE seq = 6 AND {where}", "seq 6 does not hold its line"),
        (
            "UPDATE events SET line = replace(line, 'cid-2', 'cid-3') WHERE seq = 6 AND {where}",
            "seq 6 does not hold its line",
        ),
        (
            "UPDATE events SET line = char(10) || line WHERE seq = 6 AND {where}",
            "seq 6 does not hold its line",
        ),
        ("UPDATE rooms SET head = 9 WHERE id = '{room}'", "head 9, 8 events, 8 different seqs"),
        ("UPDATE rooms SET n = 9 WHERE id = '{room}'", "n 9, 5 messages, the last has n 5"),
        ("DELETE FROM rooms WHERE id = '{room}'", "8 events of a room that does not exist"),
    ],
)
async def test_walk_finds_planted_damage(tmp_path: Path, damage: str, problem: str) -> None:
    """Gaps, doubles, swapped lines and wrong heads are each named."""
    room, _ = await filled(tmp_path)
    edit(
        tmp_path,
        "PRAGMA foreign_keys = OFF",
        "DROP INDEX events_seq",
        "DROP INDEX events_cid",
        damage.replace("{where}", THERE).replace("{room}", room),
        "CREATE INDEX events_seq ON events (room, seq)",
    )
    store = sqlite.open_store(tmp_path)
    await store.start()
    problems = [text async for *_, found in store.log.walk() for text in found]
    await store.close()
    assert problem in problems


async def test_walk_names_damage_of_the_file(tmp_path: Path) -> None:
    """An index that disagrees with its table is found though `open` does not look for it."""
    room, _ = await filled(tmp_path)
    edit(
        tmp_path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX events_seq ON events (seq, room)' "
        "WHERE name = 'events_seq'",
    )
    store = sqlite.open_store(tmp_path)
    await store.start()
    findings = [finding async for finding in store.log.walk()]
    await store.close()
    assert findings[0][0] == ""
    assert "the file is damaged" in findings[0][4][0]
    assert room


async def test_database_is_private_to_its_user(tmp_path: Path) -> None:
    """Nobody else on the machine reads the messages."""
    directory = tmp_path / "data"
    store = sqlite.open_store(directory)
    await store.start()
    await store.rooms.create("anna", Kind.PUBLIC, "x")
    modes = {path.name: path.stat().st_mode & 0o077 for path in directory.glob("chat.db*")}
    await store.close()
    assert directory.stat().st_mode & 0o077 == 0
    assert modes == {"chat.db": 0, "chat.db-wal": 0, "chat.db-shm": 0}


def test_sqlite_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both versions in the sentence, and before a file is made."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert "needs SQLite 3.38.0 or newer" in sentence(tmp_path)
    assert not (tmp_path / "chat.db").exists()
