"""The WebSocket under the SDK: picows, the only file that does network I/O for it.

picows hands out frames that point into its reused read buffer, one fragment at a time and
without judging UTF-8: fragments are copied and joined here, and UTF-8 is judged by the JSON
parser, which refuses anything else.
"""

import asyncio
import logging
from typing import Protocol

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    ws_connect,
)
from picows.common import WSError, WSHandshakeError

from chatrooms.client.backoff import Closing
from chatrooms.client.errors import ChatError, ConnectionLost, ProtocolViolation

SUBPROTOCOL = "chat.v1"
MESSAGE_BYTES_MAX = 1024 * 1024
CONNECT_S_MAX = 10.0
CLOSE_S_MAX = 1.0

# RFC 6455 section 7.4.1
CLOSE_NORMAL = 1000
CLOSE_NO_STATUS = 1005
CLOSE_ABNORMAL = 1006
CLOSE_TOO_BIG = 1009

_logger = logging.getLogger("chatrooms.client")
_REFUSALS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    426: "bad_request",
}


class Owner(Protocol):
    """Who is told what the socket hears."""

    def handle_message(self, message: bytes) -> None:
        """Take a whole text message; may raise `ProtocolViolation`."""

    def handle_writable(self) -> None:
        """The kernel takes bytes again."""


class Link(WSListener):  # type: ignore[misc, unused-ignore]
    """One connection, from upgrade to close."""

    def __init__(self, owner: Owner) -> None:
        """Nothing is sent before `open_link` returns."""
        self._owner = owner
        self._transport: WSTransport | None = None
        self._fragments = bytearray()
        self._closing = Closing()
        self._closed: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self.writable = True

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Join fragments into messages, answer a close."""
        if self._closed.done() or transport.is_close_frame_sent:
            return
        if frame.msg_type in {WSMsgType.TEXT, WSMsgType.CONTINUATION}:
            self._fragments += frame.get_payload_as_memoryview()
            if len(self._fragments) > MESSAGE_BYTES_MAX:
                self.drop("a message larger than 1 MiB", CLOSE_TOO_BIG)
            elif frame.fin:
                message, self._fragments = bytes(self._fragments), bytearray()
                self._hand_over(message)
        elif frame.msg_type is WSMsgType.CLOSE:
            code: int = frame.get_close_code().value
            self._closing = Closing(code or CLOSE_NO_STATUS, frame.get_close_reason() or "")
            transport.send_close(WSCloseCode(code or CLOSE_NORMAL))
            transport.disconnect()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Tell who waits how it ended."""
        if not self._closed.done():
            self._closed.set_result(self._closing)

    def pause_writing(self) -> None:
        """The send buffer is full: what waits stays in the session."""
        self.writable = False

    def resume_writing(self) -> None:
        """The send buffer has space."""
        self.writable = True
        self._owner.handle_writable()

    def send(self, message: bytes) -> None:
        """Send one text message."""
        if self._transport is not None and not self._transport.is_close_frame_sent:
            self._transport.send(WSMsgType.TEXT, message)

    def drop(self, why: str, code: int | None = None) -> None:
        """End the connection from this side without waiting for the peer."""
        if self._transport is None or self._closed.done():
            return
        _logger.info("connection dropped: %s", why)
        if self._closing.code == CLOSE_ABNORMAL:
            self._closing = Closing(CLOSE_ABNORMAL, why)
        if code is not None:
            self._transport.send_close(WSCloseCode(code), why)
        self._transport.disconnect(graceful=False)

    async def close(self) -> None:
        """Say goodbye (1000), wait up to a second for the answer, and end."""
        if self._transport is None or self._closed.done():
            return
        self._transport.send_close(WSCloseCode(CLOSE_NORMAL))
        try:
            await asyncio.wait_for(asyncio.shield(self._closed), CLOSE_S_MAX)
        except TimeoutError:
            self._transport.disconnect(graceful=False)

    async def wait_closed(self) -> Closing:
        """Wait for the end of the connection and return how it came."""
        return await asyncio.shield(self._closed)

    def _hand_over(self, message: bytes) -> None:
        try:
            self._owner.handle_message(message)
        except ProtocolViolation as violation:
            self.drop(str(violation), violation.close_code)


async def open_link(url: str, owner: Owner) -> Link:
    """Connect and upgrade; `url` is ws:// or wss://.

    Raises `ConnectionLost` when nobody answers (or answers 5xx), `ChatError` when the upgrade is
    refused in a way that trying again does not change.
    """

    def listen(_request: WSUpgradeRequest, response: WSUpgradeResponse) -> Link:
        chosen = response.headers.get("Sec-WebSocket-Protocol")
        if chosen != SUBPROTOCOL:
            raise WSHandshakeError(f"the server does not speak {SUBPROTOCOL} at this address")
        return Link(owner)

    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            _transport, link = await ws_connect(
                listen,
                url,
                extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL},
                max_frame_size=MESSAGE_BYTES_MAX,
                logger_name="chatrooms",
            )
    except WSHandshakeError as error:
        raise _refusal(error) from error
    except (OSError, WSError, TimeoutError) as error:
        raise ConnectionLost(str(error) or "the server did not answer in time") from error
    if not isinstance(link, Link):
        # picows answers a connection that ends before the upgrade with no listener at all.
        raise ConnectionLost("the connection ended before the upgrade")
    return link


def _refusal(error: WSHandshakeError) -> ChatError | ConnectionLost:
    status = int(error.response.status) if error.response is not None else 0
    code = _REFUSALS.get(status)
    if code is None:
        return ConnectionLost(f"the upgrade failed: {error}")
    return ChatError(code, f"the server refused the upgrade with HTTP status {status}")
