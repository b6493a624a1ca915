"""The typed events of chat.v1, and how a wire object becomes one.

Durable events carry `seq`, their position in the room's log; the others are passing. `sender`
is the wire's `from`, which is a keyword in Python. Times (`ts`) are ms since 1970.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

Wire: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's log: `seq` counts within the log named by `epoch`."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `n` counts messages only. A deleted one has an empty body."""

    room: str
    seq: int
    n: int
    sender: str
    cid: str
    ts: int
    body: Wire
    thread: int | None = None
    mentions: tuple[str, ...] = ()
    deleted: bool = False
    edited: int | None = None

    @property
    def text(self) -> str:
        """The text of a text message, else the empty string."""
        text = self.body.get("text")
        return text if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """Members changed: join, leave, kick, ban, unban, invite or role, of one or many users."""

    room: str
    seq: int
    ts: int
    sender: str
    users: tuple[str, ...]
    action: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """The room was created or updated."""

    room: str
    seq: int
    ts: int
    sender: str
    action: str
    name: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """Somebody named you in room `of`, in its event `target`. In the private log `me`."""

    room: str
    seq: int
    of: str
    target: int


@dataclass(frozen=True, slots=True)
class Invite:
    """You were invited to room `of` by `sender`. In the private log `me`."""

    room: str
    seq: int
    of: str
    sender: str


@dataclass(frozen=True, slots=True)
class RoomAdded:
    """Room `of` joined your list of rooms. In the private log `me`."""

    room: str
    seq: int
    of: str


@dataclass(frozen=True, slots=True)
class RoomRemoved:
    """Room `of` left your list of rooms. In the private log `me`."""

    room: str
    seq: int
    of: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event newer than this SDK; `fields` is the whole object, `seq` set if it is durable."""

    t: str
    room: str | None
    seq: int | None
    fields: Wire = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """Durable events `first`..`last` cannot be had any more.

    History no longer holds them, or you may no longer read it. What history holds is filled in
    silently.
    """

    room: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class EpochChanged:
    """The room's log was replaced (a restore): forget what you keep of it, read it anew."""

    room: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody began or stopped typing; over after 6 s unless repeated."""

    room: str
    sender: str
    on: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """An application's own passing event: at most once, not stored."""

    room: str
    sender: str
    body: Wire


@dataclass(frozen=True, slots=True)
class Presence:
    """Who came and went; `count` distinct users are online now."""

    room: str
    count: int
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """`user` has read up to message number `n`."""

    room: str
    user: str
    n: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Another device of yours has read up to message number `n`."""

    room: str
    n: int


@dataclass(frozen=True, slots=True)
class Notice:
    """The server announces something: with code `drain` this node is leaving."""

    code: str
    retry_after_ms: int | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class AuthExpiring:
    """The token ends in `in_ms`; a client with a token source renews it by itself."""

    in_ms: int


@dataclass(frozen=True, slots=True)
class Online:
    """The SDK is connected and resumed, as `user`."""

    user: str


@dataclass(frozen=True, slots=True)
class Offline:
    """The connection is lost; the SDK tries again in `retry_in_ms`."""

    reason: str
    retry_in_ms: int


Durable: TypeAlias = (
    Message | MemberEvent | RoomEvent | Mention | Invite | RoomAdded | RoomRemoved | Unknown
)
Event: TypeAlias = (
    Durable
    | Gap
    | EpochChanged
    | Typing
    | Signal
    | Presence
    | Receipt
    | Mark
    | Notice
    | AuthExpiring
    | Online
    | Offline
)


def is_durable(event: Event) -> TypeGuard[Durable]:
    """Say whether an event has a place in its room's log, unknown kinds included."""
    return isinstance(getattr(event, "seq", None), int) and not isinstance(event, EpochChanged)


def event_from_wire(wire: Wire) -> Event:
    """Turn an event object into its type; what does not fit its type becomes `Unknown`."""
    reader = _READERS.get(wire.get("t", ""))
    if reader is not None:
        try:
            return reader(wire)
        except (KeyError, TypeError, ValueError):
            pass
    seq, room = wire.get("seq"), wire.get("room")
    return Unknown(
        t=str(wire.get("t", "")),
        room=room if isinstance(room, str) else None,
        seq=seq if type(seq) is int and isinstance(room, str) else None,
        fields=wire,
    )


def _text(wire: Wire, key: str) -> str:
    value = wire[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _number(wire: Wire, key: str) -> int:
    value = wire[key]
    if type(value) is not int:
        raise TypeError(key)
    return value


def _optional_number(wire: Wire, key: str) -> int | None:
    return None if wire.get(key) is None else _number(wire, key)


def _optional_text(wire: Wire, key: str) -> str | None:
    return None if wire.get(key) is None else _text(wire, key)


def _texts(wire: Wire, key: str) -> tuple[str, ...]:
    values = wire.get(key) or ()
    return tuple(value for value in values if isinstance(value, str))


def _object(wire: Wire, key: str) -> Wire:
    value = wire[key]
    if not isinstance(value, dict):
        raise TypeError(key)
    return value


def _message(wire: Wire) -> Message:
    deleted = wire.get("deleted") is True
    return Message(
        room=_text(wire, "room"),
        seq=_number(wire, "seq"),
        n=_number(wire, "n"),
        sender=_text(wire, "from"),
        cid=_text(wire, "cid"),
        ts=_number(wire, "ts"),
        body={} if deleted else _object(wire, "body"),
        thread=_optional_number(wire, "thread"),
        mentions=_texts(wire, "mentions"),
        deleted=deleted,
        edited=_optional_number(wire, "edited"),
    )


def _member(wire: Wire) -> MemberEvent:
    users = _texts(wire, "users") or (_text(wire, "user"),)
    return MemberEvent(
        room=_text(wire, "room"),
        seq=_number(wire, "seq"),
        ts=_number(wire, "ts"),
        sender=_text(wire, "from"),
        users=users,
        action=_text(wire, "action"),
        role=_optional_text(wire, "role"),
    )


def _room(wire: Wire) -> RoomEvent:
    return RoomEvent(
        room=_text(wire, "room"),
        seq=_number(wire, "seq"),
        ts=_number(wire, "ts"),
        sender=_text(wire, "from"),
        action=_text(wire, "action"),
        name=_optional_text(wire, "name"),
        kind=_optional_text(wire, "kind"),
    )


def _typing(wire: Wire) -> Typing:
    return Typing(_text(wire, "room"), _text(wire, "from"), wire["on"] is True)


def _notice(wire: Wire) -> Notice:
    return Notice(
        _text(wire, "code"), _optional_number(wire, "retry_after_ms"), _optional_text(wire, "url")
    )


_READERS: dict[str, Callable[[Wire], Event]] = {
    "msg": _message,
    "member": _member,
    "room": _room,
    "mention": lambda w: Mention(
        _text(w, "room"), _number(w, "seq"), _text(w, "of"), _number(w, "target")
    ),
    "invite": lambda w: Invite(
        _text(w, "room"), _number(w, "seq"), _text(w, "of"), _text(w, "from")
    ),
    "room_added": lambda w: RoomAdded(_text(w, "room"), _number(w, "seq"), _text(w, "of")),
    "room_removed": lambda w: RoomRemoved(_text(w, "room"), _number(w, "seq"), _text(w, "of")),
    "gap": lambda w: Gap(_text(w, "room"), _number(w, "from"), _number(w, "to")),
    "epoch": lambda w: EpochChanged(_text(w, "room"), _text(w, "epoch"), _number(w, "seq")),
    "typing": _typing,
    "signal": lambda w: Signal(_text(w, "room"), _text(w, "from"), _object(w, "body")),
    "presence": lambda w: Presence(
        _text(w, "room"), _number(w, "count"), _texts(w, "+"), _texts(w, "-")
    ),
    "receipt": lambda w: Receipt(_text(w, "room"), _text(w, "user"), _number(w, "n")),
    "mark": lambda w: Mark(_text(w, "room"), _number(w, "n")),
    "notice": _notice,
    "auth_expiring": lambda w: AuthExpiring(_number(w, "in_ms")),
}
