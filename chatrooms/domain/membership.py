"""What the rules say about one person in one room; stores ask here inside their transactions."""

from typing import NamedTuple

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.permissions import Operation, allowed, exists_in
from chatrooms.domain.room import Kind, Role


class Seat(NamedTuple):
    """What somebody is in a room; `role` None for a stranger. A banned one is never a member."""

    role: Role | None = None
    invited: bool = False
    banned: bool = False


STRANGER = Seat()


def shown(kind: Kind, seat: Seat) -> bool:
    """Whether the room may show that it exists: public, or one has to do with it."""
    return kind is Kind.PUBLIC or seat != STRANGER


def refuse_outsider(kind: Kind | None, seat: Seat) -> Refusal | None:
    """Why somebody may not act as a member; None for a member. `kind` None: no such room."""
    if kind is None or not shown(kind, seat):
        return Refusal(Code.NOT_FOUND, "no such room", field="room")
    if seat.banned:
        return Refusal(Code.BANNED, "you are banned from this room", field="room")
    if seat.role is None:
        return Refusal(Code.NOT_MEMBER, "you are not a member of this room", field="room")
    return None


def refuse_entry(kind: Kind | None, seat: Seat) -> Refusal | None:
    """Why somebody may not join; None for who may, members included."""
    why = refuse_outsider(kind, seat)
    if why is None or why.code is not Code.NOT_MEMBER:
        return why
    if kind is Kind.PUBLIC or seat.invited:
        return None
    return Refusal(Code.NOT_FOUND, "no such room", field="room")


def refuse_action(
    kind: Kind | None, actor: Seat, operation: Operation, target: Role | None = None
) -> Refusal | None:
    """Why a person may not do `operation` to `target`; None when they may."""
    why = refuse_outsider(kind, actor)
    if why is not None:
        return why
    assert kind is not None  # noqa: S101 -- refuse_outsider has refused an unknown room
    assert actor.role is not None  # noqa: S101 -- and who is not a member
    if exists_in(kind, operation) and allowed(actor.role, operation, target):
        return None
    return Refusal(Code.FORBIDDEN, "your role in this room does not allow that")
