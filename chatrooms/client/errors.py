"""What can go wrong for a user of the SDK: one exception for each thing one can do about it."""

from collections.abc import Mapping
from typing import Any


class ChatError(Exception):
    """The server refused an operation, or this account, with an error code of chat.v1.

    `code` is the protocol's name (`not_member`, `muted`, …), `retry` says whether the same
    operation may succeed later, `retry_after_ms` when, `field` which field was at fault.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        retry: bool = False,
        retry_after_ms: int | None = None,
        field: str | None = None,
        room: str | None = None,
    ) -> None:
        """Keep the parts of an `err` reply, of a close code or of an HTTP problem."""
        super().__init__(message or code)
        self.code = code
        self.retry = retry
        self.retry_after_ms = retry_after_ms
        self.field = field
        self.room = room

    @classmethod
    def from_wire(cls, err: Mapping[str, Any]) -> "ChatError":
        """Read an `err` object of chat.v1; absent or odd fields become None."""
        retry_after_ms = err.get("retry_after_ms")
        field, room = err.get("field"), err.get("room")
        return cls(
            str(err.get("code", "internal")),
            str(err.get("msg", "")),
            retry=err.get("retry") is True,
            retry_after_ms=retry_after_ms if isinstance(retry_after_ms, int) else None,
            field=field if isinstance(field, str) else None,
            room=room if isinstance(room, str) else None,
        )


class ConnectionLost(ConnectionError):  # noqa: N818 -- the field's word for it
    """The connection is gone, or there is none: whether a pending operation ran is unknown."""


class OutboxFull(Exception):  # noqa: N818 -- a state, said plainly
    """More sends wait than the outbox may hold; nothing was queued, try again later."""


class ProtocolViolation(Exception):  # noqa: N818 -- named after the act
    """The server said what chat.v1 does not allow; the connection is closed with `close_code`."""

    def __init__(self, message: str, close_code: int = 1002) -> None:
        """`close_code`: an RFC 6455 section 7.4.1 code, 1002 or 1007."""
        super().__init__(message)
        self.close_code = close_code
