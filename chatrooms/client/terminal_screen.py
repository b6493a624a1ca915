"""Where the terminal client reads lines and shows them: a person's terminal, or plain pipes."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output
from prompt_toolkit.patch_stdout import patch_stdout

from chatrooms.client.terminal_view import Fragments, plain


class Screen(Protocol):
    """What the conversation needs of a terminal."""

    interactive: bool
    status: Callable[[], Fragments]
    on_edit: Callable[[str], None]

    def show(self, line: Fragments) -> None:
        """Show a line above what is being typed."""

    def refresh(self) -> None:
        """The status line changed."""

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Ask something before the conversation; `secret` hides the answer."""

    def lines(self) -> AsyncIterator[str]:
        """Yield the lines typed, until the person leaves."""

    def open(self) -> AbstractContextManager[None]:
        """Be used while lines are shown beside the prompt."""


def _no_status() -> Fragments:
    return []


def _no_edit(_text: str) -> None:
    return


class PlainScreen:
    """Lines in, lines out: for pipes, scripts and tests."""

    interactive = False

    def __init__(self, source: TextIO | None = None, sink: TextIO | None = None) -> None:
        """Standard input and output by default."""
        self.status: Callable[[], Fragments] = _no_status
        self.on_edit: Callable[[str], None] = _no_edit
        self._source = source or sys.stdin
        self._sink = sink or sys.stdout

    def show(self, line: Fragments) -> None:
        """Print the text of a line."""
        print(plain(line), file=self._sink, flush=True)

    def refresh(self) -> None:
        """There is no status line."""

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Nobody can be asked: the answer is empty."""
        del question, secret
        return ""

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of the source; read by a thread of its own, one line ahead."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)

        def read() -> None:
            try:
                for line in self._source:
                    asyncio.run_coroutine_threadsafe(queue.put(line.rstrip("\n")), loop).result()
                asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
            except (RuntimeError, ValueError):
                return  # the loop or the source is closed: nobody listens any more

        # A daemon, because a read that blocks on a quiet pipe must not keep the process alive.
        threading.Thread(target=read, name="stdin", daemon=True).start()
        while (line := await queue.get()) is not None:
            yield line

    def open(self) -> AbstractContextManager[None]:
        """Need nothing."""
        return nullcontext()


class PromptScreen:
    """A person's terminal: a prompt at the bottom, the conversation scrolling above it."""

    interactive = True

    def __init__(self, source: Input | None = None, sink: Output | None = None) -> None:
        """The real terminal by default."""
        self.status: Callable[[], Fragments] = _no_status
        self.on_edit: Callable[[str], None] = _no_edit
        self._sink = sink
        self._source = source
        self._prompt: PromptSession[str] = PromptSession(
            input=source,
            output=sink,
            erase_when_done=True,
            bottom_toolbar=lambda: FormattedText(self.status()),
            refresh_interval=1.0,
        )
        self._prompt.default_buffer.on_text_changed += lambda buffer: self.on_edit(buffer.text)

    def show(self, line: Fragments) -> None:
        """Print a styled line above the prompt."""
        print_formatted_text(FormattedText(line), output=self._sink)

    def refresh(self) -> None:
        """Draw the status line anew."""
        self._prompt.app.invalidate()

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Ask on a line of its own."""
        asking: PromptSession[str] = PromptSession(input=self._source, output=self._sink)
        return (await asking.prompt_async(question, is_password=secret)).strip()

    async def lines(self) -> AsyncIterator[str]:
        """Yield what is entered; Ctrl-D leaves, Ctrl-C clears the line."""
        while True:
            try:
                yield await self._prompt.prompt_async("> ")
            except EOFError:
                return
            except KeyboardInterrupt:
                continue

    def open(self) -> AbstractContextManager[None]:
        """Let everything printed go above the prompt."""
        return patch_stdout(raw=True)
