"""Cross-origin requests from exact origins only (WHATWG Fetch, 3.2); no credentials, no `*`."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatrooms.api.problems import REQUEST_ID, problem
from chatrooms.domain.errors import Code, Refusal

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy"


class Cors:
    """Strangers get no Access-Control field, and `Vary` keeps caches honest for everybody."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self.app = app
        self.origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        claimed = headers.getlist("origin")
        origin = claimed[0] if len(claimed) == 1 and claimed[0] in self.origins else None

        async def send_varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if origin is not None:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            response = _preflight(origin is not None, scope[REQUEST_ID])
            await response(scope, receive, send_varied)
        else:
            await self.app(scope, receive, send_varied)


def _preflight(allowed: bool, request_id: str) -> Response:
    if allowed:
        return Response(status_code=204, headers=_PREFLIGHT)
    return problem(request_id, Refusal(Code.FORBIDDEN, "This origin is not allowed."))
