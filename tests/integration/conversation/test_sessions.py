"""How connections get in and how the server ends them: sessions, expiry, tickets."""

import asyncio
import itertools
from base64 import urlsafe_b64encode
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.conversation.conftest import Connect
from tests.integration.conversation.dialers import Closed, Dialer
from tests.integration.conversation.peer import Peer
from tests.integration.conversation.people import Person, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

_names = (f"dweller{number}" for number in itertools.count())


@pytest_asyncio.fixture(loop_scope="module")
async def ann(town: Town) -> Person:
    """Somebody new with a password."""
    return town.person(next(_names))


def _session(town: Town, who: Person) -> tuple[Person, dict[str, Any]]:
    """Another login of the same person, and its tokens."""
    tokens = town.login(who.name)
    return who._replace(token=tokens["access_token"]), tokens


async def _first_reply(
    dialer: Dialer, url: str, token: str | None = None
) -> tuple[str, int | None]:
    """What a connection is told first, and the code that it is closed with, if it is refused."""
    peer = Peer("guest", await dialer.dial(url))
    reply = await peer.hello(token)
    if reply["t"] == "welcome":
        await peer.leave()
        return "welcome", None
    return reply["code"], await peer.closed()


async def test_revoked_session_closes_its_sockets_only(
    town: Town, ann: Person, connect: Connect, dialer: Dialer
) -> None:
    """4003 to every socket of the session; the person's other session talks on."""
    other, _ = _session(town, ann)
    doomed = [await connect(town.node, other) for _ in range(2)]
    kept = await connect(town.node, ann)
    listed = town.do(other, "GET", "/sessions")["sessions"]
    [current] = [each["id"] for each in listed if each["current"]]
    assert current == doomed[0].welcome["session"]
    town.do(ann, "DELETE", f"/sessions/{current}")
    assert [await peer.closed() for peer in doomed] == [4003, 4003]
    await kept.ask("unsub", room="anything")
    assert town.request(other, "GET", "/users/me").status_code == 401
    assert await _first_reply(dialer, town.node.ws_url, other.token) == ("unauthorized", 4001)


async def test_logout_closes_the_sockets_of_the_login(
    town: Town, ann: Person, connect: Connect
) -> None:
    """The refresh token ends its session, and with it what is live."""
    other, tokens = _session(town, ann)
    peer = await connect(town.node, other)
    town.do(ann, "POST", "/auth/logout", {"refresh_token": tokens["refresh_token"]})
    assert await peer.closed() == 4003


async def test_expired_token_ends_the_connection_that_did_not_renew(
    town: Town, ann: Person, connect: Connect
) -> None:
    """`auth_expiring`, then 4101; the one that sent a newer token stays."""
    short = ann._replace(token=_token(town, ann, "3"))
    lazy, renewed = [await connect(town.node, short) for _ in range(2)]
    assert (await lazy.heard("auth_expiring"))["in_ms"] <= 3_000
    later = await renewed.ask("auth", token=ann.token)
    assert later["expires_at"] > renewed.welcome["server_time"] + 60_000
    assert await lazy.closed() == 4101
    await renewed.ask("unsub", room="anything")


async def test_token_of_somebody_else_does_not_renew(
    town: Town, ann: Person, connect: Connect
) -> None:
    """A connection keeps its user."""
    peer = await connect(town.node, ann)
    other = town.person(next(_names))
    assert await peer.refused("auth", token=other.token) == "forbidden"
    await peer.ask("unsub", room="anything")


async def test_bad_credentials_are_told_before_the_close(
    town: Town, ann: Person, dialer: Dialer
) -> None:
    """Expired: 4101, come back with a new one. Anything else: 4001, do not."""
    url = town.node.ws_url
    assert await _first_reply(dialer, url, _token(town, ann, "-1")) == ("token_expired", 4101)
    assert await _first_reply(dialer, url, ann.token[:-4] + "AAAA") == ("unauthorized", 4001)
    assert await _first_reply(dialer, url) == ("unauthorized", 4001)


async def test_token_may_stand_among_the_subprotocols(
    town: Town, ann: Person, dialer: Dialer
) -> None:
    """What browsers can do: `bearer.` and the token, of which the answer says nothing."""
    bearer = f"bearer.{urlsafe_b64encode(ann.token.encode()).decode().rstrip('=')}"
    peer = Peer("ann", await dialer.dial(town.node.ws_url, ("chat.v1", bearer)))
    assert (await peer.hello())["user"] == ann.user
    await peer.leave()


async def test_token_in_the_address_is_refused(town: Town, ann: Person, dialer: Dialer) -> None:
    """An address ends in logs; the handshake fails."""
    with pytest.raises(Closed, match="400"):
        await dialer.dial(f"{town.node.ws_url}?token={ann.token}")


async def test_ticket_lets_in_once(town: Town, ann: Person, dialer: Dialer) -> None:
    """Of many at once one gets in, and nobody later."""
    ticket = town.do(ann, "POST", "/auth/ticket")["ticket"]
    url = f"{town.node.ws_url}?ticket={ticket}"
    replies = await asyncio.gather(*(_first_reply(dialer, url) for _ in range(20)))
    assert sorted(replies, key=str) == [("unauthorized", 4001)] * 19 + [("welcome", None)]
    assert await _first_reply(dialer, url) == ("unauthorized", 4001)


def _token(town: Town, who: Person, seconds: str) -> str:
    """A token with another lifetime."""
    told = town.node.cli("token", "--user", who.name, "--ttl", seconds)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()
