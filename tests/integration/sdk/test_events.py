"""The typed events of a running node, as the SDK tells them to programs."""

import asyncio

from chatrooms.client import (
    Invite,
    Mark,
    MemberEvent,
    Presence,
    Receipt,
    RoomAdded,
    Signal,
    Typing,
)
from tests.integration.conversation.people import Town
from tests.integration.sdk.conftest import MakeClient, until
from tests.integration.sdk.proxy import Road

WANT = ("presence", "typing", "receipts")


async def test_presence_names_who_comes_and_goes(town: Town, client: MakeClient) -> None:
    """By distinct user: a second device changes nothing; the last one to go does."""
    ada, grace = town.people("present", 2)
    room = town.room(ada, grace)
    watching, coming, again = (
        client(town.node.ws_url, token=who.token) for who in (ada, grace, grace)
    )
    await asyncio.gather(*(each.connect() for each in (watching, coming, again)))
    stream = await watching.subscribe(room, want=WANT)
    await coming.subscribe(room)
    shown = await until(stream, lambda event: isinstance(event, Presence) and event.count > 1)
    presences = [event for event in shown if isinstance(event, Presence)]
    assert {user for event in presences for user in event.came} == {ada.user, grace.user}
    assert stream.online == 2
    await again.subscribe(room)
    assert {person.user for person in (await watching.who(room)).members} == {ada.user, grace.user}
    await coming.close()
    await again.close()
    went = (await until(stream, lambda event: isinstance(event, Presence)))[-1]
    assert went == Presence(room, 1, went=(grace.user,))
    assert (await watching.who(room)).count == 1


async def test_typing_and_signals_reach_the_others(town: Town, client: MakeClient) -> None:
    """Who says them does not hear them."""
    ada, grace = town.people("typing", 2)
    room = town.room(ada, grace)
    saying, hearing = (client(town.node.ws_url, token=who.token) for who in (ada, grace))
    await asyncio.gather(saying.connect(), hearing.connect())
    own = await saying.subscribe(room, want=WANT)
    stream = await hearing.subscribe(room, want=WANT)
    saying.typing(room, on=True)
    typing = (await until(stream, lambda event: isinstance(event, Typing)))[-1]
    assert typing == Typing(room, ada.user, on=True)
    assert saying.signal(room, {"cursor": [3, 4]})
    signal = (await until(stream, lambda event: isinstance(event, Signal)))[-1]
    assert signal == Signal(room, ada.user, {"cursor": [3, 4]})
    sent = await hearing.send(room, "I see your cursor")
    seen = await until(own, lambda event: getattr(event, "seq", 0) == sent.seq)
    assert not [event for event in seen if isinstance(event, Typing | Signal)]


async def test_read_mark_is_a_mark_to_oneself_and_a_receipt_to_others(
    town: Town, client: MakeClient
) -> None:
    """The reader's other device moves its counter; who wants receipts gets one."""
    ada, grace = town.people("reading", 2)
    room = town.room(ada, grace)
    author, phone, laptop = (
        client(town.node.ws_url, token=who.token) for who in (ada, grace, grace)
    )
    await asyncio.gather(*(each.connect() for each in (author, phone, laptop)))
    authored = await author.subscribe(room, want=WANT)
    await phone.subscribe(room)
    other = await laptop.subscribe(room)
    sent = await author.send(room, "read me")
    await until(other, lambda event: getattr(event, "seq", 0) == sent.seq)
    assert other.unread == 1
    phone.mark_read(room, sent.n)
    mark = (await until(other, lambda event: isinstance(event, Mark)))[-1]
    assert mark == Mark(room, sent.n)
    assert other.unread == 0
    receipt = (await until(authored, lambda event: isinstance(event, Receipt)))[-1]
    assert receipt == Receipt(room, grace.user, sent.n)


async def test_private_log_tells_invitations_and_new_rooms(town: Town, client: MakeClient) -> None:
    """In order, in `events()`, without any subscription; then the room itself can be followed."""
    ada, grace = town.people("invited", 2)
    room = town.room(ada, kind="private")
    guest = client(town.node.ws_url, token=grace.token)
    await guest.connect()
    everything = guest.events()
    town.do(ada, "POST", f"/rooms/{room}/invitations", {"user": grace.user})
    invite = (await until(everything, lambda event: isinstance(event, Invite)))[-1]
    assert isinstance(invite, Invite)
    assert (invite.room, invite.of, invite.sender) == ("me", room, ada.user)
    town.do(grace, "POST", f"/rooms/{room}/join")
    added = (await until(everything, lambda event: isinstance(event, RoomAdded)))[-1]
    assert added == RoomAdded("me", invite.seq + 1, room)
    stream = await guest.subscribe(room)
    assert stream.role == "member"
    town.do(ada, "DELETE", f"/rooms/{room}/members/{grace.user}")
    last = [event async for event in stream][-1]
    assert isinstance(last, MemberEvent)
    assert (last.action, last.users) == ("kick", (grace.user,))


async def test_private_log_missed_while_away_is_told_on_return(
    town: Town, road: Road, client: MakeClient
) -> None:
    """An invitation that came while the client was offline is not lost."""
    ada, grace = town.people("away", 2)
    room = town.room(ada, kind="private")
    guest = client(road.url, token=grace.token)
    await guest.connect()
    everything = guest.events()
    road.block()
    town.do(ada, "POST", f"/rooms/{room}/invitations", {"user": grace.user})
    road.blocked = False
    invite = (await until(everything, lambda event: isinstance(event, Invite)))[-1]
    assert isinstance(invite, Invite)
    assert invite.of == room
