"""The outermost middleware: request id, security headers, metrics, and 500 without a trace."""

import secrets
import time
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatrooms.api.problems import REQUEST_ID, problem
from chatrooms.api.services import ResponseSeen, Services
from chatrooms.domain.errors import Code, Refusal

ADDRESS: Final = "chatrooms.address"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The documentation page runs its own script from here and asks this server only.
_DOCS: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
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
                _dress(MutableHeaders(scope=message), scope["path"], request_id)
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


def _dress(headers: MutableHeaders, path: str, request_id: str) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    docs = path == "/docs" or path.startswith("/docs/")
    headers["Content-Security-Policy"] = _DOCS if docs else _CLOSED
    headers["X-Request-Id"] = request_id
    headers.setdefault("Cache-Control", "no-store")
