"""The few REST calls the terminal and bots need beside the socket, over httpx."""

from dataclasses import dataclass
from typing import Any, Self

import httpx

from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.values import Person, people_from_wire

REQUEST_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives; `expires_in_s` counts for the access token."""

    access: str
    refresh: str
    expires_in_s: int


class RestClient:
    """REST of one node, e.g. http://127.0.0.1:8000. Every method raises as `_call` says."""

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` replaces the network, for an ASGI application in the same process."""
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=REQUEST_S_MAX, transport=transport
        )
        self.token: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._http.aclose()

    async def register(self, username: str, password: str) -> None:
        """Create an account; a taken name is `ChatError` `conflict`."""
        await self._call("POST", "/v1/auth/register", {"username": username, "password": password})

    async def login(self, username: str, password: str) -> Tokens:
        """Open a session and keep its access token for the calls that follow."""
        answer = await self._call(
            "POST", "/v1/auth/login", {"username": username, "password": password}
        )
        return self._keep(answer)

    async def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token, which is used up by it."""
        answer = await self._call("POST", "/v1/auth/refresh", {"refresh_token": refresh_token})
        return self._keep(answer)

    async def me(self) -> Person:
        """Return the account the token belongs to."""
        return _person(await self._call("GET", "/v1/users/me"))

    async def user(self, user: str) -> Person:
        """Return somebody you share a room with."""
        return _person(await self._call("GET", f"/v1/users/{user}"))

    async def join(self, room: str) -> None:
        """Become a member of a public room; again is fine."""
        await self._call("POST", f"/v1/rooms/{room}/join")

    async def members(self, room: str, *, limit: int = 100) -> tuple[Person, ...]:
        """Return the first `limit` members of a room."""
        answer = await self._call("GET", f"/v1/rooms/{room}/members?limit={limit}")
        rows = answer.get("members") or answer.get("items") or ()
        return people_from_wire(rows)

    def _keep(self, answer: dict[str, Any]) -> Tokens:
        tokens = Tokens(
            access=str(answer["access_token"]),
            refresh=str(answer.get("refresh_token", "")),
            expires_in_s=int(answer.get("expires_in", 0)),
        )
        self.token = tokens.access
        return tokens

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Make a request. `ConnectionLost`: nobody answers; `ChatError`: the server refused."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            reply = await self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error
        try:
            answer = reply.json() if reply.content else {}
        except ValueError:
            answer = {}
        answer = answer if isinstance(answer, dict) else {"items": answer}
        if reply.is_error:
            raise _problem(reply, answer)
        return answer


def _problem(reply: httpx.Response, problem: dict[str, Any]) -> ChatError:
    """Turn problem+json (RFC 9457) into the error it stands for."""
    errors = problem.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    retry_after = reply.headers.get("Retry-After", "")
    field = first.get("field")
    reason = first.get("reason") or problem.get("detail") or problem.get("title") or ""
    return ChatError(
        str(problem.get("code") or f"http_{reply.status_code}"),
        str(reason),
        retry=reply.status_code in {429, 500, 503, 504},
        retry_after_ms=int(retry_after) * 1000 if retry_after.isdecimal() else None,
        field=str(field) if field else None,
    )


def _person(row: dict[str, Any]) -> Person:
    renamed = {**row, "user": row.get("user") or row.get("id") or ""}
    return people_from_wire([renamed])[0]
