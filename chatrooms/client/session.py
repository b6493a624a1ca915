"""The client's side of chat.v1 as a state machine: sans-IO, time and randomness are arguments.

`open` and the `handle_*` methods say what happened, commands say what the user wants, `poll_*`
say what to do: bytes to transmit, the next deadline, whether to hang up. Times are seconds of
a monotonic clock.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, TypeAlias

import orjson

from chatrooms.client import backoff, wire
from chatrooms.client.backoff import Closing, Retry, Stop
from chatrooms.client.errors import ChatError, ConnectionLost, ProtocolViolation
from chatrooms.client.events import (
    AuthExpiring,
    Mark,
    Notice,
    Offline,
    Online,
    Position,
    event_from_wire,
    is_durable,
)
from chatrooms.client.marks import ReadMarks
from chatrooms.client.outbox import Draft, Outbox, Sent
from chatrooms.client.rooms import ME, Room, Rooms, RoomState
from chatrooms.client.timeline import Fetch, Page, Timeline

REPLY_S_MAX = 20.0
GREETING_S_MAX = 10.0
STEADY_S = 5.0
FETCH_PAUSE_S = 1.0
RESUB_PAUSE_MS = 1_000
PING_MS_DEFAULT = 25_000
LINES_WAITING_MAX = 1_024
_FINAL_REFUSALS = frozenset({"unauthorized", "token_expired"})

Reply: TypeAlias = dict[str, Any] | ChatError | ConnectionLost
Done: TypeAlias = Callable[[float, Reply], None]


class State(Enum):
    """How far the connection is."""

    OFFLINE = auto()
    GREETING = auto()
    ONLINE = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """An operation that waits for its reply; `asked_at` in s."""

    asked_at: float
    done: Done


class Session:
    """Everything a client knows and owes, across connections."""

    def __init__(self, client: str, outbox: Outbox, seed: Callable[[], float]) -> None:
        """`client` names the program in `hello`; `seed` draws from [0, 1) for retries."""
        self.state = State.OFFLINE
        self.rooms = Rooms()
        self.outbox = outbox
        self.limits: dict[str, int] = {}
        self._client = client
        self._fraction = seed
        self._marks = ReadMarks()
        self._calls: dict[int, Call] = {}
        self._resubs: dict[Room, float] = {}
        self._lines: deque[bytes] = deque()
        self._next_id = 1
        self._opened_at = 0.0
        self._heard_at = 0.0
        self._ping_s = PING_MS_DEFAULT / 1000
        self._attempt = 0
        self._refusal: ChatError | None = None
        self._notice: Notice | None = None
        self._hang_up: str | None = None
        self.token_due = False

    def open(self, now: float, token: str | None) -> None:
        """A connection stands: say hello, resuming every room whose position is known."""
        self.state = State.GREETING
        self._next_id = 1
        self._opened_at = self._heard_at = now
        self._refusal = self._notice = self._hang_up = None
        self.token_due = False
        hello: dict[str, Any] = {"t": "hello", "id": self._draw_id(), "client": self._client}
        if token is not None:
            hello["token"] = token
        if rooms := self.rooms.resume_positions():
            hello["rooms"] = rooms
        self._lines.append(wire.encode(hello))

    def handle_message(self, now: float, message: bytes) -> None:
        """Take a whole message; raises `ProtocolViolation` if it cannot be understood."""
        self._heard_at = now
        for line in wire.decode(message):
            try:
                self._handle_line(now, line)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise ProtocolViolation(f"a {line.get('t')} that cannot be read") from error

    def handle_close(self, now: float, closing: Closing, *, can_renew: bool) -> Retry | Stop:
        """The connection ended, or could not be made: say what follows."""
        steady = self.state is State.ONLINE and now - self._opened_at >= STEADY_S
        if steady:
            self._attempt = 0
        circumstances = backoff.Circumstances(
            attempt=self._attempt,
            greeted=steady,
            refusal=self._refusal,
            retry_after_ms=self._notice.retry_after_ms if self._notice else None,
            moved_to=self._notice.url if self._notice else None,
            can_renew=can_renew,
        )
        verdict = backoff.judge(closing, circumstances, self._fraction())
        self._attempt += 1
        self._refusal = self._notice = None
        self._forget_connection(now, closing)
        if isinstance(verdict, Stop):
            self.fail(verdict.error)
        else:
            self.rooms.announce(Offline(self._hang_up or closing.why, verdict.delay_ms))
        return verdict

    def fail(self, error: ChatError | ConnectionLost) -> None:
        """The client stops for good: everybody who waits is told."""
        self.outbox.fail_all(error)
        self.rooms.fail(error)

    def handle_deadline(self, now: float) -> None:
        """A deadline passed: notice silence, of the server or in answer to an operation."""
        if self.state is State.OFFLINE:
            return
        oldest = next(iter(self._calls.values()), None)
        if now >= self._heard_at + self._silence_s:
            self._hang_up = "nothing was heard from the server"
        elif oldest and now >= oldest.asked_at + REPLY_S_MAX:
            self._hang_up = "an operation was not answered"

    def poll_deadline(self) -> float | None:
        """Return the time (s) at which `handle_deadline` and `poll_transmit` are due."""
        if self.state is State.OFFLINE:
            return None
        dues = [self._heard_at + self._silence_s]
        oldest = next(iter(self._calls.values()), None)
        if oldest:
            dues.append(oldest.asked_at + REPLY_S_MAX)
        if self.state is State.ONLINE:
            waiting = (self.outbox, self._marks, self.rooms)
            dues += self._resubs.values()
            dues += [due for queue in waiting if (due := queue.poll_deadline()) is not None]
        return min(dues)

    def poll_hang_up(self) -> str | None:
        """Return why the connection must be dropped, or None."""
        return self._hang_up

    def poll_transmit(self, now: float) -> bytes | None:
        """Return the next client message to send, or None."""
        if self.state is State.ONLINE:
            self._resubscribe(now)
            for draft in self.outbox.poll_ready(now):
                self._transmit_draft(now, draft)
            for room, n in self._marks.poll_ready(now):
                self._transmit_mark(now, room, n)
            for timeline, fetch in self.rooms.poll_fetches(now):
                self._transmit_fetch(now, timeline, fetch)
        return wire.pack(self._lines)

    def subscribe(self, now: float, entry: Room) -> None:
        """Ask for a room now; when offline, `hello` or a later `sub` does it."""
        if self.state is State.ONLINE:
            self._transmit_sub(now, entry)

    def request(self, now: float, op: str, fields: dict[str, Any], done: Done) -> None:
        """Send an operation that is answered once: by `ok`, an error, or a lost connection."""
        if self.state is not State.ONLINE:
            done(now, ConnectionLost("not connected"))
            return
        op_id = self._draw_id()
        line = wire.encode({"t": op, "id": op_id, **fields})
        if len(line) > wire.MESSAGE_BYTES_MAX:
            done(now, ChatError("too_large", "larger than a client message may be"))
            return
        self._calls[op_id] = Call(now, done)
        self._lines.append(line)

    def whisper(self, op: str, fields: dict[str, Any]) -> bool:
        """Send `typing` or `signal`, which nobody answers; False if it was shed."""
        line = wire.encode({"t": op, **fields})
        shed = len(self._lines) >= LINES_WAITING_MAX or len(line) > wire.MESSAGE_BYTES_MAX
        if self.state is not State.ONLINE or shed:
            return False
        self._lines.append(line)
        return True

    def mark_read(self, room: str, n: int) -> None:
        """Note how far the user has read; sent within a second."""
        self._marks.note(room, n)

    def flush_marks(self, now: float) -> None:
        """Before leaving: send what would otherwise wait for its second."""
        if self.state is State.ONLINE:
            for room, n in self._marks.poll_ready(now, closing=True):
                self._transmit_mark(now, room, n)

    @property
    def _silence_s(self) -> float:
        return GREETING_S_MAX if self.state is State.GREETING else self._ping_s * 1.5

    def _draw_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _forget_connection(self, now: float, closing: Closing) -> None:
        self.state = State.OFFLINE
        calls, self._calls = self._calls, {}
        self._resubs.clear()
        self._lines.clear()
        self.outbox.handle_disconnected()
        self._marks.handle_disconnected()
        self.rooms.handle_disconnected()
        for call in calls.values():
            call.done(now, ConnectionLost(closing.why))

    def _handle_line(self, now: float, line: dict[str, Any]) -> None:
        match line.get("t"):
            case "ok" | "err":
                self._handle_reply(now, line)
            case "welcome":
                self._handle_welcome(now, line)
            case "ping":
                self._lines.append(b'{"t":"pong"}')
            case _:
                self._handle_event(line)

    def _handle_reply(self, now: float, line: dict[str, Any]) -> None:
        op_id = line.get("id")
        call = self._calls.pop(op_id, None) if isinstance(op_id, int) else None
        if line["t"] == "ok":
            if call is not None:
                call.done(now, line)
            return
        error = ChatError.from_wire(line)
        if call is not None:
            call.done(now, error)
        elif self.state is State.GREETING:
            self._refusal = error
            self._hang_up = None if error.code in _FINAL_REFUSALS else f"refused: {error.code}"
        elif error.code in _FINAL_REFUSALS:
            self._refusal = error

    def _handle_welcome(self, now: float, line: dict[str, Any]) -> None:
        if self.state is not State.GREETING:
            raise ProtocolViolation("a second welcome")
        self.state = State.ONLINE
        self._opened_at = now
        self.rooms.user = str(line.get("user", ""))
        ping_ms = line.get("ping_ms")
        if type(ping_ms) is int and ping_ms > 0:
            self._ping_s = ping_ms / 1000
        limits = line.get("limits") or {}
        self.limits = {key: value for key, value in limits.items() if type(value) is int}
        resume: dict[str, list[Any]] = line.get("resume") or {}
        for room, row in resume.items():
            self.rooms.handle_resume_row(room, row)
        self._greet_me(line.get("me"), resumed=ME in resume)
        for entry in self.rooms.asked():
            self._transmit_sub(now, entry)
        self.rooms.announce(Online(self.rooms.user))

    def _greet_me(self, me: object, *, resumed: bool) -> None:
        """Begin the private log, or find out by its head what was missed of it."""
        if not isinstance(me, list):
            return
        epoch, seq = str(me[0]), int(me[1])
        entry = self.rooms.rooms[ME]
        known = entry.head
        self.rooms.handle_head(entry, Position(epoch, seq))
        if known is None or resumed:
            return
        if known.epoch != epoch or known.seq > seq:
            lost = {"t": "epoch", "room": ME, "epoch": epoch, "seq": seq}
        else:
            lost = {"t": "gap", "room": ME, "from": known.seq + 1, "to": seq}
        self.rooms.handle_event(event_from_wire(lost))

    def _handle_event(self, line: dict[str, Any]) -> None:
        event = event_from_wire(line)
        if isinstance(event, Notice):
            self._notice = event
            self.rooms.announce(event)
        elif isinstance(event, AuthExpiring):
            self.token_due = True
            self.rooms.announce(event)
        elif isinstance(event, Mark):
            self._marks.handle_stored(event.room, event.n)
            self.rooms.handle_event(event)
        elif is_durable(event) or getattr(event, "room", None) is not None:
            self.rooms.handle_event(event)
        else:
            self.rooms.announce(event)

    def _transmit_sub(self, now: float, entry: Room) -> None:
        fields: dict[str, Any] = {"room": entry.room}
        if entry.head is not None:
            fields["since"] = (entry.head.epoch, entry.head.seq)
        if entry.want:
            fields["want"] = entry.want
        self.request(now, "sub", fields, partial(self._subscribed, entry))

    def _subscribed(self, entry: Room, now: float, reply: Reply) -> None:
        if self.rooms.rooms.get(entry.room) is not entry:
            return
        if isinstance(reply, dict):
            self.rooms.handle_subscribed(entry, reply)
            self._marks.handle_stored(entry.room, entry.read)
        elif isinstance(reply, ChatError):
            if reply.retry:
                self._resubs[entry] = now + (reply.retry_after_ms or RESUB_PAUSE_MS) / 1000
            else:
                self.rooms.part(entry, reply)

    def _resubscribe(self, now: float) -> None:
        for entry, due in list(self._resubs.items()):
            if due <= now:
                del self._resubs[entry]
                if entry.state is not RoomState.GONE:
                    self._transmit_sub(now, entry)

    def _transmit_draft(self, now: float, draft: Draft) -> None:
        fields: dict[str, Any] = {
            "room": draft.room,
            "cid": draft.cid,
            "body": orjson.Fragment(draft.body),
        }
        if draft.thread is not None:
            fields["thread"] = draft.thread
        self.request(now, "send", fields, partial(self._posted, draft))

    def _posted(self, draft: Draft, now: float, reply: Reply) -> None:
        if isinstance(reply, dict):
            seq, n, ts = (int(reply.get(name, 0)) for name in ("seq", "n", "ts"))
            self.outbox.handle_sent(draft, Sent(seq, n, ts, reply.get("dup") is True))
        elif isinstance(reply, ChatError):
            self.outbox.handle_refused(draft, reply, now, self._fraction())

    def _transmit_mark(self, now: float, room: str, n: int) -> None:
        self.request(now, "read", {"room": room, "n": n}, partial(self._marked, room, n))

    def _marked(self, room: str, n: int, _now: float, reply: Reply) -> None:
        if isinstance(reply, dict):
            self._marks.handle_stored(room, n)
        elif isinstance(reply, ChatError) and not reply.retry:
            self._marks.handle_refused(room)

    def _transmit_fetch(self, now: float, timeline: Timeline, fetch: Fetch) -> None:
        fields = {"room": fetch.room, "after": fetch.after, "limit": fetch.limit}
        fields["epoch"] = fetch.epoch
        self.request(now, "hist", fields, partial(self._fetched, timeline, fetch))

    def _fetched(self, timeline: Timeline, fetch: Fetch, now: float, reply: Reply) -> None:
        if isinstance(reply, dict):
            events = [event_from_wire(each) for each in reply.get("events", ())]
            page = Page([each for each in events if is_durable(each)], int(reply.get("first", 0)))
            timeline.handle_page(fetch, page)
            if not timeline.progressed:
                self.rooms.pause(timeline, now + FETCH_PAUSE_S)
        elif isinstance(reply, ChatError) and not reply.retry and reply.code != "epoch_mismatch":
            timeline.handle_refusal(fetch)
        else:
            timeline.handle_failure(fetch)
            pause_ms = reply.retry_after_ms if isinstance(reply, ChatError) else None
            self.rooms.pause(timeline, now + (pause_ms or FETCH_PAUSE_S * 1000) / 1000)
        self.rooms.review(timeline)
        if isinstance(reply, ChatError) and reply.code == "epoch_mismatch":
            entry = self.rooms.rooms.get(fetch.room)
            if entry is not None and entry.state is RoomState.LIVE and entry.room != ME:
                self._transmit_sub(now, entry)
