"""Which role may do what to whom in a room: one table, and nothing is allowed that is not in it."""

from enum import StrEnum
from typing import Final

from chatrooms.domain.room import Kind, Role


class Operation(StrEnum):
    """What somebody does in a room."""

    POST = "post"
    READ = "read"
    INVITE = "invite"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    SET_ROLE = "set_role"
    UPDATE_ROOM = "update_room"


Target = Role | None  # whom it is done to: a member by role; None is nobody or a stranger

_NOBODY: Final[frozenset[Target]] = frozenset({None})
_NEVER: Final[frozenset[Target]] = frozenset()
_MEMBERS: Final[frozenset[Target]] = frozenset(Role)

# The targets each role may do an operation to. Nobody acts on an equal or stronger one but owners.
TABLE: Final[dict[Operation, dict[Role, frozenset[Target]]]] = {
    Operation.POST: dict.fromkeys(Role, _NOBODY),
    Operation.READ: dict.fromkeys(Role, _NOBODY),
    Operation.INVITE: dict.fromkeys(Role, _NOBODY),
    Operation.KICK: {
        Role.OWNER: _MEMBERS,
        Role.MODERATOR: frozenset({Role.MEMBER}),
        Role.MEMBER: _NEVER,
    },
    Operation.BAN: {
        Role.OWNER: _MEMBERS | _NOBODY,
        Role.MODERATOR: frozenset({Role.MEMBER, None}),
        Role.MEMBER: _NEVER,
    },
    Operation.UNBAN: {Role.OWNER: _NOBODY, Role.MODERATOR: _NOBODY, Role.MEMBER: _NEVER},
    Operation.SET_ROLE: {Role.OWNER: _MEMBERS, Role.MODERATOR: _NEVER, Role.MEMBER: _NEVER},
    Operation.UPDATE_ROOM: {Role.OWNER: _NOBODY, Role.MODERATOR: _NOBODY, Role.MEMBER: _NEVER},
}

# Two people share a direct room as equals: there is nobody to manage.
_IN_DIRECT: Final = frozenset({Operation.POST, Operation.READ})


def allowed(actor: Role, operation: Operation, target: Target = None) -> bool:
    """Whether a member with role `actor` may do `operation` to `target`."""
    return target in TABLE[operation][actor]


def exists_in(kind: Kind, operation: Operation) -> bool:
    """Whether rooms of this kind know the operation at all."""
    return kind is not Kind.DIRECT or operation in _IN_DIRECT
