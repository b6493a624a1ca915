"""How events look in the terminal: text with styles, no I/O."""

import datetime as dt
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from chatrooms.client.events import (
    EpochChanged,
    Event,
    Gap,
    Invite,
    MemberEvent,
    Mention,
    Message,
    Notice,
    Offline,
    Online,
    RoomEvent,
)

Fragments: TypeAlias = list[tuple[str, str]]

NAME_COLORS = (
    "ansigreen",
    "ansiyellow",
    "ansiblue",
    "ansimagenta",
    "ansicyan",
    "ansibrightred",
    "ansibrightgreen",
    "ansibrightblue",
    "ansibrightmagenta",
    "ansibrightcyan",
)
DIM = "ansibrightblack"
ALERT = "bold ansired"
TYPING_NAMES_MAX = 3
_ACTIONS = {
    "join": "joined",
    "leave": "left",
    "kick": "was removed",
    "ban": "was banned",
    "unban": "may come back",
    "invite": "was invited",
}


def clean(text: str) -> str:
    """Drop what could steer the terminal: control and direction characters, but tab and newline.

    The server refuses C0 in messages; C1 (U+009B begins an escape sequence) and the overrides
    of writing direction it lets through.
    """
    kept = "\n\t"
    return "".join(c for c in text if c in kept or unicodedata.category(c) not in {"Cc", "Cf"})


def color(name: str) -> str:
    """Return the style of a name, the same on every screen."""
    return NAME_COLORS[zlib.crc32(name.encode()) % len(NAME_COLORS)]


def clock(ts: int) -> str:
    """Return the local time of day of `ts` (ms since 1970)."""
    return dt.datetime.fromtimestamp(ts / 1000).astimezone().strftime("%H:%M")


def plain(fragments: Fragments) -> str:
    """Return the text without styles."""
    return "".join(text for _style, text in fragments)


def note(text: str, style: str = DIM) -> Fragments:
    """A line of the program itself."""
    return [(style, f"-- {clean(text)}")]


def show(event: Event, names: Mapping[str, str], me: str | None) -> Fragments | None:
    """Return the line of an event, or None if it has none; `names` maps user ids to names."""
    if isinstance(event, Message):
        return _message(event, _name(names, event.sender), mine=event.sender == me)
    if isinstance(event, MemberEvent):
        return _member(event, names)
    if isinstance(event, Invite):
        who = _name(names, event.sender)
        return note(f"{who} invites you: chatrooms chat {event.of}", "bold")
    described = _NOTES.get(type(event))
    return described(event) if described is not None else None


def status(
    room: str,
    *,
    online: bool,
    count: int,
    unsent: int,
    typing: Sequence[str],
    user: str,
) -> Fragments:
    """Return the line below the prompt."""
    parts: Fragments = [("bold", f" {clean(room)} ")]
    if online:
        parts.append(("", f"· {count} online · you are {clean(user)} "))
    else:
        parts.append((ALERT, "· offline, reconnecting "))
    if unsent:
        parts.append(("bold ansiyellow", f"· {unsent} waiting to be sent "))
    if typing:
        names = ", ".join(clean(name) for name in typing[:TYPING_NAMES_MAX])
        more = " and others" if len(typing) > TYPING_NAMES_MAX else ""
        verb = "is" if len(typing) == 1 else "are"
        parts.append((DIM, f"· {names}{more} {verb} typing …"))
    return parts


def _name(names: Mapping[str, str], user: str) -> str:
    return clean(names.get(user, user)).replace("\n", " ")


def _message(event: Message, name: str, *, mine: bool) -> Fragments:
    style = f"bold {color(name)}" if mine else color(name)
    time: tuple[str, str] = (DIM, f"{clock(event.ts)} ")
    if event.deleted:
        return [time, (style, name), (DIM, ": (deleted)")]
    text = clean(event.text) or f"({', '.join(clean(key) for key in event.body) or 'empty'})"
    if text.startswith("/me "):
        return [time, (style, f"* {name}"), ("italic", f" {text[4:]}")]
    edited: Fragments = [(DIM, " (edited)")] if event.edited is not None else []
    return [time, (style, name), ("", f": {text}"), *edited]


def _member(event: MemberEvent, names: Mapping[str, str]) -> Fragments:
    who = ", ".join(_name(names, user) for user in event.users[:TYPING_NAMES_MAX])
    if len(event.users) > TYPING_NAMES_MAX:
        who += f" and {len(event.users) - TYPING_NAMES_MAX} others"
    done = _ACTIONS.get(event.action, event.action)
    if event.action == "role":
        done = f"is now {event.role}"
    return [(DIM, f"{clock(event.ts)} -- {who} {clean(done)}")]


def _renamed(event: RoomEvent) -> Fragments | None:
    if event.action != "update" or event.name is None:
        return None
    return note(f"the room is now called {event.name}")


def _offline(event: Offline) -> Fragments:
    pause_s = event.retry_in_ms / 1000
    return note(f"offline ({event.reason}); trying again in {pause_s:.1f} s", ALERT)


def _missing(event: Gap) -> Fragments:
    return note(f"{event.last - event.first + 1} events before this can no longer be read")


def _announced(event: Notice) -> Fragments | None:
    if event.code != "drain":
        return None
    return note("the server is restarting; the connection will move")


_NOTES: dict[type, Callable[[Any], Fragments | None]] = {
    RoomEvent: _renamed,
    Gap: _missing,
    EpochChanged: lambda _event: note("the server was restored; what you saw may be gone"),
    Mention: lambda event: note(f"you were mentioned in {event.of}", "bold"),
    Offline: _offline,
    Online: lambda _event: note("online again", "bold ansigreen"),
    Notice: _announced,
}
