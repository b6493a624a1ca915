"""The Log, Positions and Marks ports over the state in memory."""

from collections.abc import AsyncIterator, Callable, Sequence

from chatrooms.adapters.memory.world import Place, World
from chatrooms.domain.content import compare
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import Event, encode_message
from chatrooms.domain.membership import Seat, refuse_outsider, shown
from chatrooms.domain.page import PAGE_BYTES_MAX, fit, more, window
from chatrooms.domain.room import PRIVATE_LOG_PREFIX, Role, private_log
from chatrooms.ports.log import Anchor, Commit, Outcome, Page, Post, Stored
from chatrooms.ports.marks import Mark
from chatrooms.ports.positions import Standing


class MemoryLog:
    """Implements chatrooms.ports.log.Log; every append is a commit of its own."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def epoch(self) -> str:
        """The identity of this log."""
        return self._world.epoch

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Sets the listener."""
        self._world.listener = listener

    async def append(self, posts: Sequence[Post]) -> list[Outcome]:
        """Stores posts."""
        outcomes = [self._append(post) for post in posts]
        self._world.commit(list(zip(posts, outcomes, strict=True)))
        return outcomes

    def _append(self, post: Post) -> Outcome:
        if post.room == "me" or post.room.startswith(PRIVATE_LOG_PREFIX):
            return Refusal(Code.FORBIDDEN, "nobody posts to a private log", field="room")
        try:
            f"{post.cid}{post.body}".encode()
        except UnicodeEncodeError:
            return Refusal(Code.INTERNAL, "the store could not do this")
        place = self._world.place(post.room)
        why = refuse_outsider(
            place.kind if place else None, place.seat(post.user) if place else Seat()
        )
        if why is not None or place is None:
            return why or Refusal(Code.INTERNAL)
        key = (post.room, post.user, post.cid)
        first = self._world.keys.get(key)
        if first is not None:
            sent = compare(first, post.thread, post.body)
            if sent.same:
                return Stored(sent.seq, sent.n, sent.ts_ms, dup=True)
            return Refusal(Code.CID_CONFLICT, "this cid was used for other content", field="cid")
        return self._store(place, post)

    def _store(self, place: Place, post: Post) -> Stored:
        now = self._world.now_ms()
        seq = len(place.events) + 1
        place.n += 1
        body = post.body.replace("\n", " ").replace("\r", " ")
        line = encode_message(place.id, seq, place.n, post.user, post.cid, now, body, post.thread)
        self._world.keys[post.room, post.user, post.cid] = line
        self._world.write(place, Event(seq, line, place.n))
        return Stored(seq, place.n, now, dup=False)

    async def page(
        self, room: str, anchor: Anchor, limit: int, bytes_max: int = PAGE_BYTES_MAX
    ) -> Page:
        """A stretch of the log."""
        place = self._world.rooms.get(room)
        head = len(place.events) if place else 0
        span = window(anchor.kind, anchor.seq, limit, head)
        lines = [event.line for event in place.events[span.low - 1 : span.high]] if place else []
        span = fit(anchor.kind, anchor.seq, span, [len(x.encode()) for x in lines], bytes_max)
        if place is not None and span.low <= span.high:
            lines = [event.line for event in place.events[span.low - 1 : span.high]]
        return Page(self.epoch, lines, min(1, head), head, more(anchor.kind, span, head))

    async def since(
        self, wants: Sequence[tuple[str, int, int]], events_max: int, bytes_max: int
    ) -> list[list[str] | None]:
        """Missed events of many rooms."""
        answers: list[list[str] | None] = []
        for room, after, upto in wants:
            place = self._world.rooms.get(room)
            lines = [event.line for event in place.events[after:upto]] if place else []
            much = upto - after > events_max or sum(len(x.encode()) for x in lines) > bytes_max
            answers.append(None if much else lines)
        return answers

    async def changed_since(self, cursor: int) -> tuple[list[tuple[str, int]], int]:
        """The logs that grew."""
        rooms = dict.fromkeys(self._world.order[cursor:])
        heads = [(room, len(self._world.rooms[room].events)) for room in rooms]
        return heads, len(self._world.order)

    async def walk(self) -> AsyncIterator[tuple[str, int, int, int, list[str]]]:
        """Every log; a list has no gaps."""
        for room, place in list(self._world.rooms.items()):
            head = len(place.events)
            yield room, head, head, len({event.seq for event in place.events}), []


class MemoryPositions:
    """Implements chatrooms.ports.positions.Positions."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def look(self, asks: Sequence[tuple[str, str]]) -> list[Standing]:
        """The standing of each (user, room)."""
        return [self._look(user, room) for user, room in asks]

    def _look(self, user: str, room: str) -> Standing:
        if room == private_log(user):
            place = self._world.rooms.get(room)
            head = len(place.events) if place else 0
            return Standing(head, 0, Role.OWNER.value, 0, banned=False, known=True)
        place = self._world.place(room)
        if place is None or place.kind is None:
            return Standing(0, 0, None, 0, banned=False, known=False)
        seat = place.seat(user)
        read = place.members[user].read if seat.role else 0
        known = shown(place.kind, seat)
        role = None if seat.role is None else seat.role.value
        return Standing(len(place.events), place.n, role, read, seat.banned, known)


class MemoryMarks:
    """Implements chatrooms.ports.marks.Marks."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def advance(self, asks: Sequence[tuple[str, str, int]]) -> list[Mark | Refusal]:
        """Moves marks forward."""
        answers = [self._advance(user, room, n) for user, room, n in asks]
        self._world.commit()
        return answers

    def _advance(self, user: str, room: str, n: int) -> Mark | Refusal:
        place = self._world.place(room)
        why = refuse_outsider(place.kind if place else None, place.seat(user) if place else Seat())
        if why is not None or place is None:
            return why or Refusal(Code.INTERNAL)
        if n > place.n:
            return Refusal(Code.OUT_OF_RANGE, "more than the room has", field="n")
        member = place.members[user]
        before = member.read
        member.read = max(before, n)
        return Mark(member.read, place.n, n > before)
