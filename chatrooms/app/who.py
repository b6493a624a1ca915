"""Name those who are subscribed to a room now."""

import json
from dataclasses import dataclass

from chatrooms.app.asks import WhoAsk
from chatrooms.app.visibility import require_member
from chatrooms.domain.errors import Refusal
from chatrooms.domain.event import quote
from chatrooms.domain.room import log_room
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Rooms


@dataclass(frozen=True, slots=True)
class Who:
    """The hub counts and pages by user id; the store adds names and roles of that page."""

    positions: Positions
    rooms: Rooms
    gateway: Gateway

    async def __call__(self, ask: WhoAsk) -> None:
        """Answers `who`; those who left since the hub was asked are missing from the page."""
        try:
            await require_member(self.positions, ask.user, ask.room)
            members = await self.rooms.named(log_room(ask.room, ask.user), list(ask.users))
        except Refusal as refusal:
            self.gateway.refuse(ask.connection, ask.id, refusal, ask.room)
            return
        shown = json.dumps(
            [member._asdict() for member in members], ensure_ascii=False, separators=(",", ":")
        )
        fields = f'"count":{ask.online},"members":{shown}'
        if ask.next_cursor is not None:
            fields += f',"next_cursor":{quote(ask.next_cursor)}'
        self.gateway.reply(ask.connection, ask.id, fields)
