"""The compiled data plane (core_rs/chat-py). Only chatrooms.adapters.core may import it.

Times: `_ms` since 1970 UTC, `_us` on the core's monotonic clock. A connection is an int handle.
"""

from collections.abc import Sequence
from typing import Required, Self, TypeAlias, TypedDict, Unpack, final

__all__ = ["Core", "CoreError", "judge_body", "members"]

_Since: TypeAlias = tuple[str, int]  # (epoch, seq)
_Lines: TypeAlias = list[str]

class CoreError(Exception):
    """Raised by `members` and `judge_body`: args are (code, field or None)."""

class _CoreArguments(TypedDict, total=False):
    """What a core is told once; units stand in the names."""

    host: Required[str]
    port: Required[int]
    epoch: Required[str]
    shards: int  # 1 by default
    origins: Sequence[str]  # () by default
    trusted_proxies: Sequence[str]  # () by default
    ping_ms: int  # 25_000 by default
    deflate: bool  # False by default
    rate_limits: bool  # True by default
    subscriptions_max: int  # 100 by default
    connections_max: int  # 200_000 by default
    connections_per_address_max: int  # 0 by default
    handshakes_per_address_max: int  # 1024 by default
    recent_bytes_max: int  # 67_108_864 by default
    outgoing_bytes_max: int  # 0 by default
    drain_notice_ms: int  # 200 by default
    reuse_port: bool  # False by default
    echo: bool  # False by default
    message_bytes_max: int  # 65_536 by default
    fragments_max: int  # 128 by default
    failpoint_mid_fanout: int  # 0 by default

@final
class Core:
    """All sockets of a node: listener, shards, hubs. Threads inside never touch the interpreter."""

    def __new__(cls, **arguments: Unpack[_CoreArguments]) -> Self: ...
    def start(self) -> None:
        """Binds and starts the shards. OSError when the address cannot be bound."""

    def address(self) -> tuple[str, int]:
        """The bound (host, port); port 0 was replaced by the real one."""

    def wake_fd(self) -> int:
        """An eventfd that is readable while something may wait to be taken."""

    def clear_wake(self) -> None:
        """Makes `wake_fd` unreadable; call it first, then take from all three queues."""

    def take_sends(
        self, items_max: int, bytes_max: int
    ) -> list[tuple[str, str, str, str, int | None, tuple[int, int, int]]]:
        """(room, user, cid, body, thread, (connection, id, received_us)) in order of receipt."""

    def take_asks(self, items_max: int) -> list[tuple[object, ...]]:
        """What needs reads, each headed by its kind.

        ("sub", conn, id, user, room, since | None, want bits, held_from)
        ("hist", conn, id, user, room, anchor kind, anchor seq, limit, epoch | None)
        ("read", conn, id, user, room, n)
        ("who", conn, id, user, room, count, [user ids of this page], next_cursor | None)
        ("repair", room, after, upto)       read the log and `deliver` after+1..upto again

        `room` is as clients say it ("me" included). `held_from`: the lowest seq from which the hub
        holds all events up to now in memory, 0 when it holds none.
        """

    def take_auths(self, items_max: int) -> list[tuple[object, ...]]:
        """What concerns identity, each headed by its kind.

        ("hello", conn, id, "token" | "ticket", credential,
            [(room, epoch, seq, held_from)], client | None, address)
        ("auth", conn, id, token, user, session)
        """

    def deliver(
        self,
        runs: Sequence[tuple[str, int, _Lines, list[tuple[int, str, str | None, list[str]]]]],
        acks: Sequence[tuple[int, int, int, int, int, int, bool]],
        refusals: Sequence[tuple[int, int, str | None, str, str | None, str | None, int | None]],
    ) -> None:
        """Hands a commit over: replies first, then events.

        runs: (log, first seq, lines, [(seq, action, role, users)]), in commit order; a log is a
        room id or "me:<user>". acks: (conn, id, received_us, seq, n, ts_ms, dup).
        refusals: (conn, id, room, code, message, field, retry_after_ms).
        Blocks, without the GIL, while a shard's mailbox is full.
        """

    def attach(
        self,
        answers: Sequence[
            tuple[int, int, str, int, int, int, str, _Since | None, int, _Lines | None]
        ],
    ) -> None:
        """(conn, id, room as clients say it, head, n, read, role, since, want, lines).

        `lines`: since+1..head where `held_from` of the ask did not cover since+1; None where it did
        or nothing was missed; [] where they are too many or too large to replay (a `gap` is sent).
        The hub may ask again with held_from 0 when what it held is gone by now.
        """

    def welcome(
        self,
        answers: Sequence[
            tuple[
                int,
                int,
                str,
                str,
                int,
                int,
                tuple[int, int, int, _Since | None, _Lines | None],
                list[tuple[str, int, int, int, str | None, _Since, _Lines | None]],
            ]
        ],
    ) -> None:
        """(conn, id, user, session, expires_ms, now_ms, me, rooms).

        me: (head, n, read, since, lines); rooms: (room, head, n, read, role | None = denied,
        since, lines). `lines` as in `attach` (for `me` the hub holds nothing before `hello`).
        """

    def refuse(
        self,
        refusals: Sequence[tuple[int, int, str | None, str, str | None, str | None, int | None]],
    ) -> None:
        """(conn, id, room, code, message, field, retry_after_ms); closes after a refused hello."""

    def reply(self, answers: Sequence[tuple[int, int, str]]) -> None:
        """(conn, id, fields): `{"t":"ok","id":id,fields}`."""

    def authorize(
        self,
        connection: int,
        id: int,  # noqa: A002
        session: str,
        expires_ms: int,
        now_ms: int,
    ) -> None:
        """Answers `auth` with `ok{expires_at}`; the connection is of that session from now on."""

    def marked(self, moves: Sequence[tuple[int, str, str, int]]) -> None:
        """(connection that read, or 0, user, room, n)."""

    def end_session(self, session: str) -> None:
        """4003 to every connection of the session."""

    def drain(self, window_ms: int) -> None:
        """Starts leaving: accepts nobody, says `notice`, then 4110; clients come back within it."""

    def stop(self) -> None:
        """Closes what is left and joins the threads; idempotent."""

    def open_connections(self) -> int: ...
    def counters(self) -> dict[str, int]:
        """Totals and gauges by metric name without prefix; see docs/reference/metrics.md."""

    def closes(self) -> dict[int, int]:
        """Connections closed, by close code (0: none was sent)."""

    def histograms(self) -> dict[str, tuple[list[float], list[int], float]]:
        """By name: (upper bounds in seconds, counts with one more for +Inf, sum in seconds)."""

def members(document: bytes) -> dict[str, bytes]:
    """Top-level members of a strict JSON object, their exact value bytes. CoreError otherwise."""

def judge_body(body: bytes) -> None:
    """CoreError unless `body` is a message body within the bounds."""
