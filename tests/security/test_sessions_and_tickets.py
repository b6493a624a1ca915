"""S3, S4 and S8: tickets work once, an ended session ends at once, refresh tokens rotate."""

import asyncio
import hashlib
import sqlite3
from pathlib import Path

import httpx

from chatrooms.app.asks import HelloAsk
from tests.fakes.world import Person, World

HELLO = HelloAsk(1, 1, "ticket", "", [], None, "127.0.0.1")


async def _refresh(world: World, token: str) -> httpx.Response:
    return await world.http.post("/v1/auth/refresh", json={"refresh_token": token})


async def _me(world: World, access_token: str) -> int:
    bearer = {"Authorization": f"Bearer {access_token}"}
    return (await world.http.get("/v1/users/me", headers=bearer)).status_code


async def _ticket(world: World, person: Person) -> str:
    answer = await world.http.post("/v1/auth/ticket", headers=person.bearer)
    assert answer.json()["expires_in"] <= 30
    ticket: str = answer.json()["ticket"]
    return ticket


async def test_one_of_fifty_parallel_uses_of_a_ticket_wins(world: World) -> None:
    """S3: in one batch and in fifty."""
    ada = await world.person("ada")
    for size in (1, 50):
        ticket = await _ticket(world, ada)
        asks = [HELLO._replace(connection=each, credential=ticket) for each in range(50)]
        batches = [asks[at : at + size] for at in range(0, 50, size)]
        await asyncio.gather(*map(world.cases.asks.welcome_many, batches))
        assert [answer.user for answer in world.gateway.welcomed] == [ada.id]
        assert world.gateway.codes() == ["unauthorized"] * 49
        world.gateway.welcomed.clear()
        world.gateway.refused.clear()


async def test_ticket_dies_with_its_time_and_with_its_session(world: World) -> None:
    """S3: 30 s, and not past the end of the session that asked for it."""
    ada = await world.person("ada")
    old = await _ticket(world, ada)
    world.clock.pass_seconds(31)
    await world.cases.asks.welcome_many([HELLO._replace(credential=old)])
    orphan = await _ticket(world, ada)
    await world.http.post("/v1/auth/logout", json={"refresh_token": ada.tokens["refresh_token"]})
    await world.cases.asks.welcome_many([HELLO._replace(credential=orphan)])
    assert world.gateway.codes() == ["unauthorized", "unauthorized"]
    assert world.gateway.welcomed == []


async def test_logout_ends_rest_and_sockets_at_once(world: World) -> None:
    """S4: the access token is refused though it has not expired; sockets are told."""
    ada = await world.person("ada")
    [session] = await world.store.sessions.of_user(ada.id)
    assert await _me(world, ada.tokens["access_token"]) == 200
    body = {"refresh_token": ada.tokens["refresh_token"]}
    assert (await world.http.post("/v1/auth/logout", json=body)).status_code == 204
    assert world.gateway.ended == [session.id]
    assert await _me(world, ada.tokens["access_token"]) == 401
    assert (await _refresh(world, ada.tokens["refresh_token"])).status_code == 401
    assert (await world.http.post("/v1/auth/logout", json=body)).status_code == 204


async def test_one_device_ends_another(world: World) -> None:
    """S4: sessions are listed, and ending one leaves the others."""
    ada = await world.person("ada")
    again = await world.http.post(
        "/v1/auth/login",
        json={"username": "ada", "password": "violet-harbour-29"},
        headers=httpx.Headers([(b"User-Agent", b"Phone\xe9")]),
    )
    listed = (await world.http.get("/v1/sessions", headers=ada.bearer)).json()["sessions"]
    assert {each["client"] for each in listed} >= {"Phone"}
    [other] = [each for each in listed if not each["current"]]
    ended = await world.http.delete(f"/v1/sessions/{other['id']}", headers=ada.bearer)
    assert ended.status_code == 204
    assert world.gateway.ended == [other["id"]]
    assert await _me(world, again.json()["access_token"]) == 401
    assert await _me(world, ada.tokens["access_token"]) == 200
    twice = await world.http.delete(f"/v1/sessions/{other['id']}", headers=ada.bearer)
    assert twice.status_code == 404


async def test_twenty_parallel_refreshes_give_one_pair(world: World) -> None:
    """S8: within the grace time everybody gets the same successor."""
    ada = await world.person("ada")
    token = ada.tokens["refresh_token"]
    answers = await asyncio.gather(*(_refresh(world, token) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["refresh_token"] != token
    assert await _me(world, answers[0].json()["access_token"]) == 200


async def test_reuse_after_the_grace_time_ends_the_family(world: World) -> None:
    """S8: the thief and the owner are both out, and the sockets are closed."""
    ada = await world.person("ada")
    [session] = await world.store.sessions.of_user(ada.id)
    first = ada.tokens["refresh_token"]
    second = (await _refresh(world, first)).json()
    world.clock.pass_seconds(11)
    assert (await _refresh(world, first)).status_code == 401
    assert world.gateway.ended == [session.id]
    assert (await _refresh(world, second["refresh_token"])).status_code == 401
    assert await _me(world, second["access_token"]) == 401


async def test_reuse_of_an_older_one_ends_the_family_while_the_last_has_grace(
    world: World,
) -> None:
    """S8: each token has its own ten seconds after its exchange."""
    ada = await world.person("ada")
    first = ada.tokens["refresh_token"]
    second = (await _refresh(world, first)).json()["refresh_token"]
    world.clock.pass_seconds(6)
    third = (await _refresh(world, second)).json()["refresh_token"]
    world.clock.pass_seconds(5)
    again = await _refresh(world, second)
    assert (again.status_code, again.json()["refresh_token"]) == (200, third)
    assert (await _refresh(world, first)).status_code == 401
    assert (await _refresh(world, third)).status_code == 401


async def test_store_holds_no_usable_token(world: World, tmp_path: Path) -> None:
    """S8: refresh tokens and tickets stand there as SHA-256, successors sealed."""
    ada = await world.person("ada")
    ticket = await _ticket(world, ada)
    pair = (await _refresh(world, ada.tokens["refresh_token"])).json()
    secrets = [ada.tokens["refresh_token"], pair["refresh_token"], ticket]
    database = sqlite3.connect(tmp_path / "chat.db")
    try:
        dump = "\n".join(database.iterdump())
    finally:
        database.close()
    for secret in secrets:
        assert secret not in dump
    hashes = [hashlib.sha256(secret.encode()).hexdigest() for secret in secrets]
    assert [each.upper() in dump.upper() for each in hashes] == [True, True, True]


async def test_access_and_refresh_tokens_are_not_exchanged(world: World) -> None:
    """Each is refused where the other belongs."""
    ada = await world.person("ada")
    assert await _me(world, ada.tokens["refresh_token"]) == 401
    assert (await _refresh(world, ada.tokens["access_token"])).status_code == 401
