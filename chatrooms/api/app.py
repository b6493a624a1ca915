"""The ASGI application: routes, what stands before them, and the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from chatrooms import __version__
from chatrooms.api import accounts, documents, messages, rooms, system
from chatrooms.api.cors import Cors
from chatrooms.api.frame import Frame
from chatrooms.api.guard import Guard
from chatrooms.api.methods import answer_method
from chatrooms.api.problems import (
    PROBLEM_SCHEMA,
    answer_http,
    answer_refusal,
    answer_validation,
)
from chatrooms.api.services import Services
from chatrooms.domain.errors import Refusal

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
            405: answer_method,
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
