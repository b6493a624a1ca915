"""What the SDK returns and takes, apart from events and errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chatrooms.client.events import Event


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Events in ascending order; `first` and `last` of the log, `more` in the direction asked."""

    epoch: str
    events: tuple[Event, ...]
    first: int
    last: int
    more: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A user as lists show them."""

    user: str
    username: str
    display_name: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is subscribed now: `count` users, some of them, and the cursor to go on from."""

    count: int
    members: tuple[Person, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes of the client's queues; each says what happens when it is full.

    `inbox_events`: events that wait for one reader of a room or of everything; when full,
    durable events are left to history and passing ones dropped. `outbox_drafts` and
    `outbox_bytes`: sends without an answer; when full, `send` raises `OutboxFull`.
    """

    inbox_events: int = 256
    outbox_drafts: int = 1_000
    outbox_bytes: int = 4 * 1024 * 1024


def people_from_wire(rows: Iterable[Mapping[str, Any]]) -> tuple[Person, ...]:
    """Read a list of users; a missing name falls back to the id."""
    return tuple(
        Person(
            user=str(row["user"]),
            username=str(row.get("username") or row["user"]),
            display_name=str(row.get("display_name") or row.get("username") or row["user"]),
            role=row.get("role"),
        )
        for row in rows
    )
