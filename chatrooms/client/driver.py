"""Runs a session over real sockets and real time: connects, comes back, keeps the deadlines."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from chatrooms.client.backoff import Closing, Retry, Stop
from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.session import Reply, Session, State
from chatrooms.client.transport import Link, open_link

TokenSource: TypeAlias = Callable[[], Awaitable[str]]

_logger = logging.getLogger("chatrooms.client")


class Driver:
    """One task that keeps a session connected until it is stopped."""

    def __init__(
        self, url: str, session: Session, token: str | None, token_source: TokenSource | None
    ) -> None:
        """`url` is ws:// or wss://; without a token `token_source` is asked for one."""
        self.session = session
        self.stopped: ChatError | ConnectionLost | None = None
        self._url = url
        self._token = token
        self._token_source = token_source
        self._link: Link | None = None
        self._runner: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._greeted: asyncio.Future[None] | None = None

    async def connect(self, *, patient: bool) -> None:
        """Start the task if need be, and wait until the server has said welcome."""
        if self.stopped is not None:
            raise self.stopped
        if self._greeted is None:
            self._greeted = asyncio.get_running_loop().create_future()
            self._runner = asyncio.create_task(self._guard(patient=patient))
        await asyncio.shield(self._greeted)

    def check_running(self) -> None:
        """Raise what stopped the client, if it was stopped."""
        if self.stopped is not None:
            raise self.stopped

    async def ask(self, op: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Send an operation and return its `ok`; raises what the server or the line answers."""
        self.check_running()
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def done(_now: float, reply: Reply) -> None:
            if answer.done():
                return
            if isinstance(reply, dict):
                answer.set_result(reply)
            else:
                answer.set_exception(reply)

        self.session.request(time.monotonic(), op, fields, done)
        self.flush()
        return await answer

    def flush(self) -> None:
        """Send what the session has to say, and set the timer to its next deadline."""
        now = time.monotonic()
        if self._link is not None:
            while self._link.writable and (message := self.session.poll_transmit(now)):
                self._link.send(message)
            reason = self.session.poll_hang_up()
            if reason is not None:
                self._link.drop(reason)
        self._set_timer(now)

    async def close(self) -> None:
        """Say goodbye and end; safe to call twice."""
        self.session.flush_marks(time.monotonic())
        self.flush()
        self._stop(ConnectionLost("the client was closed"))
        if self._link is not None:
            await self._link.close()
        tasks = [task for task in (self._runner, self._renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    def handle_message(self, message: bytes) -> None:
        """Take what the socket heard (called by the transport)."""
        self.session.handle_message(time.monotonic(), message)
        if self.session.state is State.ONLINE and self._greeted and not self._greeted.done():
            self._greeted.set_result(None)
        if self.session.token_due and self._token_source is not None:
            self.session.token_due = False
            self._renewal = asyncio.create_task(self._renew())
        self.flush()

    def handle_writable(self) -> None:
        """The socket takes bytes again (called by the transport)."""
        self.flush()

    async def _guard(self, *, patient: bool) -> None:
        """Run; whatever the token source or a bug raises must not leave readers waiting."""
        try:
            await self._run(patient=patient)
        except Exception as error:
            _logger.exception("the client stopped")
            self._stop(ChatError("internal", f"{type(error).__name__}: {error}"))

    async def _run(self, *, patient: bool) -> None:
        renew = self._token is None
        while self.stopped is None:
            try:
                closing = await self._attempt(renew=renew)
            except ChatError as error:
                if patient or not self._first_attempt:
                    closing = Closing(reason=str(error))
                else:
                    self._stop(error)
                    return
            except ConnectionLost as error:
                if not patient and self._first_attempt:
                    self._stop(error)
                    return
                closing = Closing(reason=str(error))
            self._link = None
            verdict = self.session.handle_close(
                time.monotonic(), closing, can_renew=self._token_source is not None
            )
            if isinstance(verdict, Stop):
                self._stop(verdict.error)
                return
            if not patient and self._first_attempt and not verdict.renew_token:
                self._stop(ConnectionLost(closing.why))
                return
            renew = verdict.renew_token
            self._move(verdict)
            _logger.info("connection ended (%s): again in %d ms", closing, verdict.delay_ms)
            await asyncio.sleep(verdict.delay_ms / 1000)

    @property
    def _first_attempt(self) -> bool:
        return self._greeted is not None and not self._greeted.done()

    async def _attempt(self, *, renew: bool) -> Closing:
        if renew and self._token_source is not None:
            self._token = await self._ask_token()
        link = await open_link(self._url, self)
        self._link = link
        self.session.open(time.monotonic(), self._token)
        self.flush()
        return await link.wait_closed()

    async def _ask_token(self) -> str:
        if self._token_source is None:
            raise ChatError("unauthorized", "there is no token and nobody to ask for one")
        try:
            return await self._token_source()
        except OSError as error:
            raise ConnectionLost(f"no token could be had: {error}") from error

    async def _renew(self) -> None:
        """Refresh the token of the open connection; a failure shows when the old one ends."""
        try:
            self._token = await self._ask_token()
            await self.ask("auth", {"token": self._token})
        except Exception as error:  # noqa: BLE001 -- a token source may raise anything
            _logger.warning("the token could not be renewed: %s", error)

    def _move(self, verdict: Retry) -> None:
        """Follow the server to another node, but never from TLS to plain text."""
        if verdict.url is not None and verdict.url.startswith(("wss://", self._url[:5])):
            self._url = verdict.url

    def _stop(self, error: ChatError | ConnectionLost) -> None:
        if self.stopped is not None:
            return
        self.stopped = error
        self.session.fail(error)
        if self._greeted is not None and not self._greeted.done():
            self._greeted.set_exception(error)
            self._greeted.exception()

    def _set_timer(self, now: float) -> None:
        """Have a timer at the next deadline, or before: one that rings early is set again."""
        due = self.session.poll_deadline()
        if due is None or self.stopped is not None:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, due - now)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._handle_timer)

    def _handle_timer(self) -> None:
        self._timer = None
        self.session.handle_deadline(time.monotonic())
        self.flush()
