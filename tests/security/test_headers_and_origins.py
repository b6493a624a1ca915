"""S1 and S2: headers on every status, and no cross-origin access but for exact origins."""

from dataclasses import replace
from typing import NoReturn

import httpx
import pytest

from tests.fakes.world import World

HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
FRIEND = "https://chat.example"
STRANGERS = [
    "https://chat.example.evil.test",
    "https://evilchat.example",
    "http://chat.example",
    "https://chat.example:8443",
    "https://CHAT.example",
    "null",
]


async def _answers(world: World) -> dict[int, httpx.Response]:
    """One answer of each status that REST can give without waiting for a fault of the store."""

    def explode() -> NoReturn:
        raise RuntimeError

    services = world.app.state.services
    ada, ben = await world.person("ada"), await world.person("ben")
    room = await world.room(ada)
    http = world.http
    key = ada.bearer | {"Idempotency-Key": "k"}
    found = [
        await http.get("/healthz"),
        await http.get("/docs"),
        await http.post("/v1/rooms", json={"kind": "public", "name": "x"}, headers=ada.bearer),
        await http.post(f"/v1/rooms/{room}/leave", headers=ada.bearer),
        await http.get("/"),
        await http.get("/v1/rooms/a%2fb"),
        await http.get("/v1/rooms"),
        await http.get(f"/v1/rooms/{room}/messages", headers=ben.bearer),
        await http.get("/nothing"),
        await http.put("/v1/rooms"),
        await http.get("/v1/rooms", headers={"Accept": "image/png"}),
        await http.post("/v1/auth/register", json={"username": "ada", "password": "x" * 9 + "yz"}),
        await http.post("/v1/rooms", content=b" " * 1_048_577, headers=key),
        await http.post("/v1/rooms", content=b"x", headers=ada.bearer),
        await http.get("/v1/rooms?limit=0", headers=ada.bearer),
    ]
    world.app.state.services = replace(services, health=explode, ready=lambda: False)
    found += [await http.get("/healthz"), await http.get("/readyz")]
    return {answer.status_code: answer for answer in found}


async def test_security_headers_stand_on_every_status(world: World) -> None:
    """S1: success, redirect, refusal and fault alike."""
    answers = await _answers(world)
    assert answers.keys() == {
        200, 201, 204, 307, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 500, 503
    }  # fmt: skip
    for status, answer in answers.items():
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (status, name)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-request-id"], status
        assert "server" not in answer.headers
        if status != 503 and status >= 400:
            assert answer.headers["content-type"] == "application/problem+json", status


async def test_answers_of_the_api_are_not_stored_by_caches(world: World) -> None:
    """Tokens and messages stay out of shared and private caches."""
    ada = await world.person("ada")
    for path in ("/v1/rooms", "/v1/users/me", "/v1/sessions"):
        answer = await world.http.get(path, headers=ada.bearer)
        assert answer.headers["cache-control"] == "no-store"


async def test_documentation_loads_nothing_from_elsewhere(world: World) -> None:
    """Swagger UI runs under a policy that names this origin only, without inline scripts."""
    page = await world.http.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype", "")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert f"/docs/{asset}" in page.text
        assert (await world.http.get(f"/docs/{asset}")).status_code == 200


async def test_exact_origin_may_read(world: World) -> None:
    """S2: the listed origin is named back; preflight tells methods and headers."""
    answer = await world.http.get("/healthz", headers={"Origin": FRIEND})
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-credentials" not in answer.headers
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    preflight = await world.http.options("/v1/rooms", headers=asked)
    assert preflight.status_code == 204
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]


@pytest.mark.parametrize("origin", STRANGERS)
async def test_strange_origin_gets_no_permission(world: World, origin: str) -> None:
    """S2: look-alikes and `null` get no Access-Control field, on errors neither."""
    for path in ("/healthz", "/v1/rooms", "/nothing"):
        answer = await world.http.get(path, headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "Origin" in answer.headers["vary"]
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = await world.http.options("/v1/rooms", headers=asked)
    assert preflight.status_code == 403
    assert "access-control-allow-origin" not in preflight.headers


async def test_two_origins_are_nobody(world: World) -> None:
    """A doubled field is not matched by its first value."""
    doubled = [("Origin", FRIEND), ("Origin", "https://evil.test")]
    answer = await world.http.get("/healthz", headers=doubled)
    assert "access-control-allow-origin" not in answer.headers


async def test_vary_names_origin_for_everybody(world: World) -> None:
    """A cache must not give one origin's answer to another."""
    assert "Origin" in (await world.http.get("/healthz")).headers["vary"]
