"""A node of a file, people on it, and SDK clients that come back without long pauses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest

from chatrooms.client import ChatClient, Event, EventStream, Message
from tests.integration.conversation.people import Town
from tests.integration.running import RunningNode
from tests.integration.sdk.proxy import Road

PATIENCE_SECONDS: Final = 30.0
# Of the drawn pause before each attempt: short enough for a test, long enough not to spin.
JITTER: Final = 0.02

MakeClient = Callable[..., ChatClient]


@pytest.fixture(scope="module")
def town(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A started node of this file alone, without rates."""
    node = RunningNode(checkout, tmp_path_factory.mktemp("town"), {"CHATROOMS_RATE_LIMITS": "off"})
    node.start()
    with closing(Town(node)) as made:
        yield made
    node.end()


@pytest.fixture
async def road(town: Town) -> AsyncIterator[Road]:
    """A road to that node, to be broken."""
    async with Road(town.node.ws_url).open() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[MakeClient]:
    """Makes SDK clients, by URL and token or token source, which end with the test."""
    async with AsyncExitStack() as stack:

        def make(url: str, **options: Any) -> ChatClient:
            made = ChatClient(url, **options)
            made._session._fraction = lambda: JITTER
            stack.push_async_callback(made.close)
            return made

        yield make


async def until(stream: EventStream, wanted: Callable[[Event], bool]) -> list[Event]:
    """All events of a stream up to the first that is wanted, which is the last of them."""
    seen: list[Event] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in stream:
            seen.append(event)
            if wanted(event):
                return seen
    raise AssertionError(f"the stream ended after {seen[-3:]}")


async def messages(stream: EventStream, count: int) -> list[Message]:
    """The next `count` messages, where nothing but messages may come."""
    seen: list[Message] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen) < count:
            event = await anext(stream)
            assert isinstance(event, Message), event
            seen.append(event)
    return seen
