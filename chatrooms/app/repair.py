"""Deliver a stretch of a log once more to a hub that missed it."""

import json
from dataclasses import dataclass
from itertools import count

from chatrooms.app.asks import RepairAsk
from chatrooms.domain.event import Action, Event, MemberChange, Run
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.log import Anchor, Log

PAGE_EVENTS = 100
MEMBER_LINE = '{"t":"member"'


@dataclass(frozen=True, slots=True)
class Repair:
    """In pages, each delivered as it comes; a hub ignores what it has had already."""

    log: Log
    gateway: Gateway

    async def __call__(self, ask: RepairAsk) -> None:
        """Delivers after+1..upto of `ask.log`; stops early where the log ends."""
        after = ask.after
        while after < ask.upto:
            wanted = min(PAGE_EVENTS, ask.upto - after)
            page = await self.log.page(ask.log, Anchor("after", after), wanted)
            if not page.lines:
                return
            events = tuple(
                Event(seq, line, change=_change(line))
                for seq, line in zip(count(after + 1), page.lines, strict=False)
            )
            self.gateway.deliver([Run(ask.log, events)], [], [])
            after += len(events)


def _change(line: str) -> MemberChange | None:
    """What a stored `member` line changes; None for other kinds."""
    if not line.startswith(MEMBER_LINE):
        return None
    event = json.loads(line)
    users = tuple(event["users"]) if "users" in event else (event["user"],)
    return MemberChange(Action(event["action"]), users, event.get("role"))
