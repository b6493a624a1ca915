"""The JSON of REST: requests forbid unknown fields, answers say exactly what they hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from chatrooms.app.pair import TokenPair
from chatrooms.domain.room import Role
from chatrooms.ports.accounts import Account
from chatrooms.ports.rooms import RoomView
from chatrooms.ports.sessions import Session

Secret = Annotated[str, Field(min_length=1, max_length=1024)]
UserId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class RegisterIn(_In):
    """Names are judged after case folding; passwords by length and a list of common ones."""

    username: Annotated[str, Field(max_length=256, examples=["ada"])]
    password: Annotated[str, Field(max_length=1024, examples=["correct horse battery"])]
    display_name: Annotated[str | None, Field(max_length=256, examples=["Ada"])] = None


class LoginIn(_In):
    """A username and its password."""

    username: Annotated[str, Field(max_length=256, examples=["ada"])]
    password: Annotated[str, Field(max_length=1024, examples=["correct horse battery"])]


class RefreshIn(_In):
    """The refresh token that a login or refresh gave last."""

    refresh_token: Secret


class NamedRoomIn(_In):
    """A room with a name."""

    kind: Literal["public", "private"]
    name: Annotated[str, Field(max_length=256, examples=["garden"])]


class DirectRoomIn(_In):
    """The room of two people."""

    kind: Literal["direct"]
    user: UserId


class UserIn(_In):
    """A user by id."""

    user: UserId


class RoleIn(_In):
    """A role by name."""

    role: Literal["owner", "moderator", "member"]

    def value(self) -> Role:
        """The role."""
        return Role(self.role)


class TokensOut(_Out):
    """An access token and the refresh token that follows; `expires_in` is in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- a scheme, not a secret
    expires_in: int

    @classmethod
    def of(cls, pair: TokenPair) -> "TokensOut":
        """The answer for a pair."""
        return cls(**pair._asdict())


class TicketOut(_Out):
    """A one-time ticket for `/ws?ticket=…`; `expires_in` is in seconds."""

    ticket: str
    expires_in: int


class UserOut(_Out):
    """An account as others see it; `id` and `user` are the same."""

    id: str
    user: str
    username: str
    display_name: str

    @classmethod
    def of(cls, account: Account) -> "UserOut":
        """The answer for an account."""
        return cls(
            id=account.id,
            user=account.id,
            username=account.username,
            display_name=account.display_name,
        )


class SessionOut(_Out):
    """A login on a device; times in ms since 1970."""

    id: str
    client: str
    created: int
    seen: int
    current: bool

    @classmethod
    def of(cls, session: Session, current: str) -> "SessionOut":
        """The answer for a session, seen from the session `current`."""
        return cls(
            id=session.id,
            client=session.client,
            created=session.created_ms,
            seen=session.seen_ms,
            current=session.id == current,
        )


class SessionsOut(_Out):
    """The living sessions, newest first."""

    sessions: list[SessionOut]


class RoomOut(_Out):
    """A room; `seq`, `n`, `read` and `unread` for its members only. `created` in ms since 1970."""

    id: str
    kind: Literal["public", "private", "direct"]
    name: str | None = None
    created: int
    role: Literal["owner", "moderator", "member"] | None = None
    invited: bool = False
    seq: int | None = None
    n: int | None = None
    read: int | None = None
    unread: int | None = None

    @classmethod
    def of(cls, view: RoomView) -> "RoomOut":
        """The answer for a room as one user sees it."""
        room = view.room
        inside = {} if view.role is None else _inside(view)
        return cls.model_validate(
            {
                "id": room.id,
                "kind": room.kind.value,
                "name": room.name,
                "created": room.created_ms,
                "invited": view.invited,
                **inside,
            }
        )


def _inside(view: RoomView) -> dict[str, str | int | None]:
    room = view.room
    return {
        "role": view.role,
        "seq": room.head,
        "n": room.n,
        "read": view.read,
        "unread": max(room.n - view.read, 0),
    }


class RoomsOut(_Out):
    """A page of rooms by id."""

    rooms: list[RoomOut]
    next_cursor: str | None = None


class MemberOut(_Out):
    """Somebody in a room."""

    user: str
    username: str
    display_name: str
    role: Literal["owner", "moderator", "member"]


class MembersOut(_Out):
    """A page of members by user id."""

    members: list[MemberOut]
    next_cursor: str | None = None


class StoredOut(_Out):
    """Where a message stands; `dup` when its key had been used for it before. `ts` in ms."""

    seq: int
    n: int
    ts: int
    dup: bool | None = None
