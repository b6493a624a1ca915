"""The admin port of production mode: /metrics and nothing else, as a plain ASGI application."""

from starlette.types import Receive, Scope, Send

from chatrooms.observability.metrics import CONTENT_TYPE, Metrics


class MetricsEndpoint:
    """GET and HEAD on /metrics; 404 elsewhere, 405 otherwise."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI HTTP request."""
        del receive
        if scope["type"] != "http":
            return
        status, body = 200, b""
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store")]
        if scope["path"] != "/metrics":
            status = 404
        elif scope["method"] not in {"GET", "HEAD"}:
            status = 405
            headers.append((b"allow", b"GET, HEAD"))
        else:
            body = self._metrics.render()
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {
                "type": "http.response.body",
                "body": b"" if scope["method"] == "HEAD" else body,
            }
        )
