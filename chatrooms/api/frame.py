"""The outermost middleware: request id, security headers, metrics, and 500 without a trace."""

import secrets
import time
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatrooms.api.problems import REQUEST_ID, problem
from chatrooms.api.services import ResponseSeen, Services
from chatrooms.domain.errors import Code, Refusal

ADDRESS: Final = "chatrooms.address"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The documentation page runs its own script from here.
_DOCS: Final = (
    f"{_CLOSED}; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
_HEADERS: Final = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}


class Frame:
    """Everything that is said of every answer, whatever its status (OWASP REST security)."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.services = services
        # To a page the sockets are another origin than its own: their port differs.
        here = ("'self'", *services.sockets)
        self._closed = _connecting(_CLOSED, here if services.sockets else ())
        self._docs = _connecting(_DOCS, here)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = secrets.token_hex(8)
        method = scope["method"]
        begun = time.perf_counter()
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(MutableHeaders(scope=message), self._policy(scope["path"]), request_id)
            await send(message)

        try:
            await self.app(scope, receive, send_framed)
        except Exception as error:  # the last line of defence: answered, logged, not raised
            self.services.on_failure(request_id, error)
            if status:
                raise
            await problem(request_id, Refusal(Code.INTERNAL))(scope, receive, send_framed)
        finally:
            route = scope.get("route")
            self.services.on_response(
                ResponseSeen(
                    request_id,
                    method if method in _METHODS else "OTHER",
                    getattr(route, "path", "unmatched"),
                    status,
                    time.perf_counter() - begun,
                    scope.get(ADDRESS, ""),
                )
            )

    def _policy(self, path: str) -> str:
        return self._docs if path == "/docs" or path.startswith("/docs/") else self._closed


def _connecting(policy: str, sources: Sequence[str]) -> str:
    """The policy, with leave to connect to `sources` and to nothing else."""
    return f"{policy}; connect-src {' '.join(sources)}" if sources else policy


def _dress(headers: MutableHeaders, policy: str, request_id: str) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    headers["Content-Security-Policy"] = policy
    headers["X-Request-Id"] = request_id
    headers.setdefault("Cache-Control", "no-store")
