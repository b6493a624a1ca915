"""The ASGI application: routes, what stands before them, and the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Match

from chatrooms import __version__
from chatrooms.api import accounts, documents, messages, rooms, system
from chatrooms.api.cors import Cors
from chatrooms.api.frame import Frame
from chatrooms.api.guard import Guard
from chatrooms.api.problems import (
    PROBLEM_SCHEMA,
    REQUEST_ID,
    answer_http,
    answer_refusal,
    answer_validation,
    problem,
)
from chatrooms.api.services import Services
from chatrooms.domain.errors import Code, Refusal

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VALIDATION_ERROR = "HTTPValidationError"
_ABOUT = (
    "REST beside the WebSocket protocol `chat.v1` (see `/asyncapi.json`). "
    "Errors are RFC 9457 problem details; lists are paged by opaque cursors."
)


class RestApi(FastAPI):
    """FastAPI whose document knows the shape of our errors and no other."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            schemas["Problem"] = PROBLEM_SCHEMA
            for operation in _operations(document):
                # A path of strings cannot fail to validate; the framework thinks it could.
                if _VALIDATION_ERROR in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
            for name in (_VALIDATION_ERROR, "ValidationError"):
                schemas.pop(name, None)
        return super().openapi()


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def create_app(services: Services) -> FastAPI:
    """REST over `services`; without `expose_metrics` there is no `/metrics`."""
    app = RestApi(
        title="Chat Rooms",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(Frame, services=services),
            Middleware(Cors, origins=services.origins),
            Middleware(Guard, services=services),
        ],
        exception_handlers={
            Refusal: answer_refusal,
            RequestValidationError: answer_validation,
            405: _answer_method,
            HTTPException: answer_http,
        },
    )
    app.state.services = services
    routers = [accounts.doors, accounts.inside, rooms.router, messages.router, system.router]
    if services.expose_metrics:
        routers.append(system.metrics_router)
    for router in (*routers, documents.router):
        app.include_router(router)
    return app


async def _answer_method(request: Request, _error: Exception) -> Response:
    """405 with the methods that this path knows, over all routes of it (RFC 9110, 15.5.6)."""
    known = [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    if "GET" in known:
        known.insert(1, "HEAD")
    return problem(
        request.scope[REQUEST_ID],
        Refusal(Code.METHOD_NOT_ALLOWED),
        headers={"Allow": ", ".join(known)},
    )
