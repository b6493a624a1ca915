"""What is refused before any route is chosen: paths, methods, rates, types and sizes."""

import asyncio
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatrooms.api.accept import accepts
from chatrooms.api.addresses import client_address, rate_key
from chatrooms.api.frame import ADDRESS
from chatrooms.api.methods import refuse_method
from chatrooms.api.problems import REQUEST_ID, RateRefusal, problem
from chatrooms.api.services import Services
from chatrooms.domain.errors import Code, Refusal

BODY_BYTES_MAX: Final = 1_048_576
BODY_SECONDS_MAX: Final = 30.0
JSON: Final = "application/json"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CREDENTIAL_NAMES: Final = frozenset({"token", "access_token", "refresh_token", "bearer"})
_NEVER: Final = frozenset({"CONNECT", "TRACE"})
_WATCHED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
# An encoded slash, backslash or NUL makes proxies and routers read different paths.
_HIDDEN: Final = re.compile(rb"%(?:2f|5c|00)|[\x00-\x20\x7f\\]", re.IGNORECASE)
_CHARSET: Final = re.compile(r'charset="?utf-8"?', re.IGNORECASE)


class Guard:
    """Cheap checks first; the body is read last, at most BODY_BYTES_MAX of it."""

    def __init__(
        self, app: ASGIApp, services: Services, body_seconds_max: float = BODY_SECONDS_MAX
    ) -> None:
        self.app = app
        self.services = services
        self.body_seconds_max = body_seconds_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = ",".join(headers.getlist("x-forwarded-for"))
        if scope["method"] in _NEVER:
            await refuse_method(scope)(scope, receive, send)
            return
        scope[ADDRESS] = client_address(peer, forwarded, self.services.trusted_proxies)
        try:
            _judge_path(scope)
            await self._spend(scope)
            _judge_accept(scope, headers)
            body = await self._body(scope, headers, receive)
            _judge_content(scope, headers, body)
        except Refusal as refusal:
            await problem(scope[REQUEST_ID], refusal)(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # GET in all but the body (RFC 9110, 9.3.2).
            scope["method"] = "GET"
            send = _without_body(send)
        await self.app(scope, _replay(body, receive), send)

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        if scope["method"] not in _WITH_BODY:
            return b""
        try:
            async with asyncio.timeout(self.body_seconds_max):
                return await _read(headers, receive)
        except TimeoutError:
            raise Refusal(Code.BAD_REQUEST, "The body did not arrive in time.") from None

    async def _spend(self, scope: Scope) -> None:
        # Whoever watches the node must not be kept out by whoever floods it.
        if self.services.rates is None or scope["path"] in _WATCHED:
            return
        costly = scope["path"] in {"/v1/auth/login", "/v1/auth/register"}
        for bucket in ("address", "login") if costly else ("address",):
            spent = await self.services.rates.spend(bucket, rate_key(scope[ADDRESS]))
            if not spent.allowed:
                raise RateRefusal(bucket, self.services.rates.rate(bucket), spent)


def _judge_path(scope: Scope) -> None:
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    path = raw.partition(b"?")[0]
    if _HIDDEN.search(path):
        raise Refusal(Code.BAD_REQUEST, "The path hides a separator or a control character.")
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise Refusal(Code.BAD_REQUEST, "The path is not UTF-8.") from None
    names = QueryParams(scope.get("query_string", b"")).keys()
    if not _CREDENTIAL_NAMES.isdisjoint(name.lower() for name in names):
        raise Refusal(Code.TOKEN_IN_URL, "Credentials do not belong in the URL.")


def _judge_accept(scope: Scope, headers: Headers) -> None:
    accept = ",".join(headers.getlist("accept"))
    if accept and scope["path"].startswith("/v1/") and not accepts(accept, JSON):
        raise Refusal(Code.NOT_ACCEPTABLE, "Answers are application/json.")


def _judge_content(scope: Scope, headers: Headers, body: bytes) -> None:
    if not body or not scope["path"].startswith("/v1/"):
        return
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    known = not parameters.strip() or _CHARSET.fullmatch(parameters.strip())
    if media_type.strip().lower() != JSON or not known or "content-encoding" in headers:
        raise Refusal(Code.UNSUPPORTED_MEDIA_TYPE, "Bodies are application/json in UTF-8.")


async def _read(headers: Headers, receive: Receive) -> bytes:
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(Code.BAD_REQUEST, "The body ended early.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES_MAX:
            raise _too_large()
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal(Code.TOO_LARGE, f"Bodies are at most {BODY_BYTES_MAX} bytes.")


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
