"""Durable room events and their one encoding, which log, live fan-out, resume and REST share."""

import json
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a `member` event says happened."""

    JOIN = "join"
    LEAVE = "leave"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    INVITE = "invite"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class MemberChange:
    """How a `member` event changes who may be in the room; hubs apply it at the event's seq."""

    action: Action
    users: tuple[str, ...]
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One stored event: its place, its encoded line (no newline), and what it changes."""

    seq: int
    line: str
    n: int | None = None
    change: MemberChange | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Events of one room from one commit, seq rising by one: what a hub takes in one piece."""

    room: str
    events: tuple[Event, ...]


def quote(text: str) -> str:
    """`text` as a JSON string (RFC 8259), characters outside ASCII kept as they are."""
    return json.dumps(text, ensure_ascii=False)


def encode_message(
    room: str, seq: int, n: int, sender: str, cid: str, ts_ms: int, body: str, thread: int | None
) -> str:
    """The `msg` line; `body` is the JSON object exactly as received, `room` as clients see it."""
    tail = "}" if thread is None else f',"thread":{thread}}}'
    key = f'"{cid}"' if '"' not in cid and "\\" not in cid else quote(cid)
    return (
        f'{{"t":"msg","room":"{room}","seq":{seq},"n":{n},"from":"{sender}",'
        f'"cid":{key},"ts":{ts_ms},"body":{body}{tail}'
    )


def encode_member(room: str, seq: int, ts_ms: int, actor: str, change: MemberChange) -> str:
    """The `member` line; one user is `user`, several (<= 500) are `users`."""
    who = (
        f'"user":{quote(change.users[0])}'
        if len(change.users) == 1
        else f'"users":{json.dumps(list(change.users))}'
    )
    role = "" if change.role is None else f',"role":{quote(change.role)}'
    return (
        f'{{"t":"member","room":"{room}","seq":{seq},"ts":{ts_ms},"from":{quote(actor)},'
        f'"action":"{change.action}",{who}{role}}}'
    )


def encode_room(
    room: str, seq: int, ts_ms: int, actor: str, action: str, name: str | None, kind: str | None
) -> str:
    """The `room` line: `action` is "create" or "update"."""
    more = "" if name is None else f',"name":{quote(name)}'
    more += "" if kind is None else f',"kind":"{kind}"'
    return (
        f'{{"t":"room","room":"{room}","seq":{seq},"ts":{ts_ms},"from":{quote(actor)},'
        f'"action":"{action}"{more}}}'
    )


def encode_private(seq: int, ts_ms: int, kind: str, fields: dict[str, str | int]) -> str:
    """A line of somebody's private log `me`: `invite`, `room_added`, `room_removed`, `pref`."""
    more = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1]
    return f'{{"t":"{kind}","room":"me","seq":{seq},"ts":{ts_ms},{more}}}'
