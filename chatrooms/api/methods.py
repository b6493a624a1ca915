"""405 with an Allow field that is true (RFC 9110, 15.5.6)."""

from typing import Final

from fastapi import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from chatrooms.api.problems import REQUEST_ID, problem
from chatrooms.domain.errors import Code, Refusal

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def refuse_method(scope: Scope) -> Response:
    """The answer that names the methods of this path over all its routes, perhaps none."""
    known = [
        method
        for method in _METHODS
        if any(
            route.matches({**scope, "method": method})[0] is Match.FULL
            for route in scope["app"].routes
        )
    ]
    if "GET" in known:
        known.insert(1, "HEAD")
    refusal = Refusal(Code.METHOD_NOT_ALLOWED)
    return problem(scope[REQUEST_ID], refusal, headers={"Allow": ", ".join(known)})


async def answer_method(request: Request, _error: Exception) -> Response:
    """What the router refuses with 405 knows one route only; this knows all."""
    return refuse_method(request.scope)
