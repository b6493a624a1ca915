"""How routes are run: strict JSON bodies, and who asks known before anything is judged."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from typing_extensions import override

from chatrooms.api.problems import MEDIA_TYPE, RateRefusal
from chatrooms.api.services import Services
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.room import ROOM_ID
from chatrooms.ports.credentials import Claims

# For the document only: MemberRoute reads the header itself, ahead of the body.
BEARER: Final = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="bearer")

_MEANINGS: Final = {
    400: "The request is malformed",
    401: "The credential is missing, bad or old",
    403: "Not allowed, not a member, or banned",
    404: "There is no such thing, or it does not show itself",
    406: "Only application/json can be had",
    409: "It contradicts what is there",
    413: "The body is too large",
    415: "Only application/json is understood",
    422: "A value is not within the schema",
    429: "Too many requests; Retry-After says when",
    500: "A fault of the server",
    503: "Not now; Retry-After says when",
}
_ALWAYS: Final = (400, 406, 429, 500, 503)
_WRITING: Final = (413, 415)


def problems(*statuses: int, common: Sequence[int] = _ALWAYS) -> dict[int | str, dict[str, Any]]:
    """The documented problem answers of a route: `statuses` and those that any route may give."""
    every = {*statuses, *common}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted(every)
    }


def changes(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """As `problems`, for methods whose body is read even where it says nothing."""
    return problems(*statuses, *_WRITING)


def also(model: type[BaseModel], description: str) -> dict[int | str, dict[str, Any]]:
    """A documented 200 beside a route's 201."""
    return {200: {"model": model, "description": description}}


def services_of(request: Request) -> Services:
    """What `create_app` was given."""
    services: Services = request.app.state.services
    return services


def claims_of(request: Request) -> Claims:
    """Who asks, as MemberRoute found."""
    claims: Claims = request.state.claims
    return claims


Caller = Annotated[Claims, Depends(claims_of)]
Given = Annotated[Services, Depends(services_of)]


class StrictRequest(Request):
    """A request whose JSON body passed the judge that also judges the sockets."""

    async def json(self) -> Any:  # noqa: ANN401 -- the framework's signature
        """The body, an object; `bad_request` for anything the judge refuses."""
        raw = await self.body()
        try:
            services_of(self).scanner.members(raw)
        except Refusal as refusal:
            raise HTTPException(refusal.code.status) from None
        return orjson.loads(raw)


class OpenRoute(APIRoute):
    """A route for everybody."""

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Runs the route on a StrictRequest."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


class MemberRoute(OpenRoute):
    """A route for people with an access token; theirs are the rates of a user."""

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Authenticates, then runs the route."""
        handler = super().get_route_handler()

        async def authenticated(request: Request) -> Response:
            services = services_of(request)
            claims = await services.cases.authenticate(bearer_token(request))
            await spend(services, "user", claims.user)
            request.state.claims = claims
            return await handler(request)

        return authenticated


def bearer_token(request: Request) -> str:
    """The one bearer token of the request (RFC 6750, 2.1); `unauthorized` otherwise."""
    fields = request.headers.getlist("authorization")
    scheme, _, token = fields[0].partition(" ") if len(fields) == 1 else ("", "", "")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal(Code.UNAUTHORIZED, "The credential is not valid.")
    return token


async def spend(services: Services, bucket: str, key: str) -> None:
    """Counts one event; raises RateRefusal when there were too many."""
    if services.rates is None:
        return
    spent = await services.rates.spend(bucket, key)
    if not spent.allowed:
        raise RateRefusal(bucket, services.rates.rate(bucket), spent)


def is_id(text: str) -> bool:
    """Whether `text` can be an id of anything here."""
    return ROOM_ID.fullmatch(text) is not None
