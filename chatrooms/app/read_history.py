"""Read a page of a room's log: `hist` on sockets, `messages` over REST, the same object."""

from dataclasses import dataclass

from chatrooms.app.asks import HistAsk
from chatrooms.app.visibility import require_member
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import quote
from chatrooms.domain.room import log_room
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.log import Anchor, Log, Page
from chatrooms.ports.positions import Positions


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Membership first, then the epoch, then one read."""

    positions: Positions
    log: Log
    gateway: Gateway

    async def __call__(
        self, user: str, room: str, anchor: Anchor, limit: int, epoch: str | None
    ) -> Page:
        """At most `limit` (1..100) events; `epoch_mismatch` when another epoch was named."""
        await require_member(self.positions, user, room)
        if epoch is not None and epoch != self.log.epoch:
            raise Refusal(Code.EPOCH_MISMATCH, "The log was replaced.", field="epoch")
        return await self.log.page(log_room(room, user), anchor, limit)

    async def answer(self, ask: HistAsk) -> None:
        """Answers `hist`."""
        try:
            page = await self(
                ask.user, ask.room, Anchor(ask.anchor, ask.anchor_seq), ask.limit, ask.epoch
            )
        except Refusal as refusal:
            self.gateway.refuse(ask.connection, ask.id, refusal, ask.room)
        else:
            self.gateway.reply(ask.connection, ask.id, encode_page(page))


def encode_page(page: Page) -> str:
    """The members of a history answer, without braces; stored lines go in as they are."""
    return (
        f'"epoch":{quote(page.epoch)},"events":[{",".join(page.lines)}],'
        f'"first":{page.first},"last":{page.last},"more":{"true" if page.more else "false"}'
    )
