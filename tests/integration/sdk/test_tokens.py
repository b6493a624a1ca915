"""Tokens that end while a client is connected: renewed on the wire, or after close 4101."""

import asyncio

import pytest

from chatrooms.client import (
    AuthExpiring,
    ChatError,
    ConnectionLost,
    Offline,
    Online,
)
from chatrooms.client.account import Account
from chatrooms.client.rest import RestClient
from tests.integration.conversation.people import PASSWORD, Person, Town
from tests.integration.sdk.conftest import PATIENCE_SECONDS, MakeClient, messages, until
from tests.integration.sdk.proxy import Road

# Until it is used: a busy machine takes seconds from `chatrooms token` to the hello.
LIFE_SECONDS = 6


class Purse:
    """A token source that hands out what it holds, in order; None is a failure."""

    def __init__(self, *tokens: str | None) -> None:
        self.asked = 0
        self._tokens = list(tokens)

    async def __call__(self) -> str:
        """The next token."""
        self.asked += 1
        token = self._tokens.pop(0)
        if token is None:
            raise ConnectionLost("the issuer is away")
        return token


async def brief_token(town: Town, who: Person) -> str:
    """A token that ends in a few seconds."""
    told = await asyncio.to_thread(
        town.node.cli, "token", "--user", who.name, "--ttl", str(LIFE_SECONDS)
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


async def test_token_is_renewed_without_losing_the_connection(
    town: Town, road: Road, client: MakeClient
) -> None:
    """It outlives its first token, of which another client with nobody to ask dies."""
    [ada] = town.people("renewed", 1)
    room = town.room(ada)
    brief = await brief_token(town, ada)
    purse = Purse(brief, ada.token)
    renewing = client(road.url, token_source=purse)
    dying = client(town.node.ws_url, token=brief)
    states = renewing.events()
    await asyncio.gather(renewing.connect(), dying.connect())
    stream = await renewing.subscribe(room)
    other = await dying.subscribe(room)
    await until(states, lambda event: isinstance(event, AuthExpiring))
    with pytest.raises(ChatError) as raised:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await anext(other)
    assert raised.value.code == "token_expired"
    sent = await renewing.send(room, "still here")
    assert [event.seq for event in await messages(stream, 1)] == [sent.seq]
    assert purse.asked == 2
    assert road.carried == 1


async def test_expired_token_is_replaced_after_the_close(
    town: Town, road: Road, client: MakeClient
) -> None:
    """The issuer is away when the token is to be renewed; 4101 asks it again, and all goes on."""
    [grace] = town.people("replaced", 1)
    room = town.room(grace)
    purse = Purse(await brief_token(town, grace), None, grace.token)
    author = client(road.url, token_source=purse)
    await author.connect()
    states = author.events()
    stream = await author.subscribe(room)
    seen = await until(states, lambda event: isinstance(event, Offline))
    assert any(isinstance(event, AuthExpiring) for event in seen)
    [offline] = [event for event in seen if isinstance(event, Offline)]
    assert offline.reason == "the token has expired"
    sent = await author.send(room, "back with another")
    assert isinstance((await until(states, lambda event: isinstance(event, Online)))[-1], Online)
    assert [event.seq for event in await messages(stream, 1)] == [sent.seq]
    assert purse.asked == 3
    assert road.carried == 2


async def test_account_brings_tokens_by_refresh_and_by_login(
    town: Town, road: Road, client: MakeClient
) -> None:
    """What `chatrooms chat` uses: after a lost refresh token it logs in again."""
    edith = town.person("edith")
    room = town.room(edith)
    async with RestClient(town.node.rest_url) as rest:
        account = Account(rest, edith.name, PASSWORD, await rest.login(edith.name, PASSWORD))
        author = client(road.url, token_source=account.token)
        await author.connect()
        first, second = await account.token(), await account.token()
        assert first != second
        await rest.refresh(account._tokens.refresh)
        third = await account.token()
        assert third not in {first, second}
        assert await author._driver.ask("auth", {"token": third})
        await author.send(room, "by the third")
        assert road.carried == 1
