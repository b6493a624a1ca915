"""Python SDK of Chat Rooms: a client of protocol chat.v1 over picows that mends itself.

    async with ChatClient("ws://127.0.0.1:8001/ws", token=token) as client:
        room = await client.subscribe("lobby")
        await client.send("lobby", "hello")
        async for event in room:
            print(event)

It uses nothing else of this project, so that it can be taken out and used alone.
"""

from chatrooms.client.chat_client import ChatClient
from chatrooms.client.driver import TokenSource
from chatrooms.client.errors import ChatError, ConnectionLost, OutboxFull, ProtocolViolation
from chatrooms.client.events import (
    AuthExpiring,
    Durable,
    EpochChanged,
    Event,
    Gap,
    Invite,
    Mark,
    MemberEvent,
    Mention,
    Message,
    Notice,
    Offline,
    Online,
    Position,
    Presence,
    Receipt,
    RoomAdded,
    RoomEvent,
    RoomRemoved,
    Signal,
    Typing,
    Unknown,
)
from chatrooms.client.outbox import Sent
from chatrooms.client.subscription import EventStream, Subscription
from chatrooms.client.values import Bounds, HistoryPage, Person, Roster

__all__ = [
    "AuthExpiring",
    "Bounds",
    "ChatClient",
    "ChatError",
    "ConnectionLost",
    "Durable",
    "EpochChanged",
    "Event",
    "EventStream",
    "Gap",
    "HistoryPage",
    "Invite",
    "Mark",
    "MemberEvent",
    "Mention",
    "Message",
    "Notice",
    "Offline",
    "Online",
    "OutboxFull",
    "Person",
    "Position",
    "Presence",
    "ProtocolViolation",
    "Receipt",
    "RoomAdded",
    "RoomEvent",
    "RoomRemoved",
    "Roster",
    "Sent",
    "Signal",
    "Subscription",
    "TokenSource",
    "Typing",
    "Unknown",
]
