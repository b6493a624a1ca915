"""`chatrooms chat` as people meet it: at a terminal of its own, or in a pipe."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.integration.running import RunningNode

PATIENCE_SECONDS: Final = 30.0
ROWS, COLUMNS = 24, 100
# ECMA-48 control sequences, and the few other escapes that prompt_toolkit writes.
_CONTROL: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])")
# The answer to "where is the cursor?": some row above the last, so that the bar has its place.
_WHERE, _HERE = b"\x1b[6n", b"\x1b[10;1R"


def command(room: str, *options: str) -> list[str]:
    """`chatrooms chat ROOM`; which node is said by the environment."""
    return [sys.executable, "-m", "chatrooms", "chat", room, *options]


def variables(node: RunningNode, home: Path, **more: str) -> dict[str, str]:
    """The settings of the node, and a configuration folder of the test's own."""
    return {**node.variables, "XDG_CONFIG_HOME": str(home), "TERM": "xterm-256color", **more}


class Terminal:
    """A process at a pseudo-terminal: what it shows, without colours, and keys for it."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Starts it."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)
        self._raw = bytearray()
        self._seen = 0

    @property
    def shown(self) -> str:
        """All that was written to the screen so far, as plain text."""
        return _CONTROL.sub("", self._raw.decode(errors="replace"))

    def type(self, keys: str) -> None:
        """Presses keys; Enter is a carriage return."""
        os.write(self._master, keys.encode())

    def see(self, text: str) -> None:
        """Waits until `text` was written to the screen after what was seen last."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (found := self.shown.find(text, self._seen)) < 0:
            assert self._read(until - time.monotonic()), f"{text!r} is not in:\n{self.shown}"
        self._seen = found + len(text)

    def leave(self) -> int:
        """Reads until it ends by itself: the exit code."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self._read(until - time.monotonic()):
            pass
        return self._process.wait(max(0.0, until - time.monotonic()))

    def end(self) -> None:
        """Leaves no process behind, however the test went."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self, seconds: float) -> bool:
        """Takes what is there, and says where the cursor is if asked; False at the end."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            chunk = os.read(self._master, 65_536)
        except OSError:
            return False  # Linux answers EIO when nobody holds the other side any more
        self._raw += chunk
        if _WHERE in chunk:
            os.write(self._master, _HERE)
        return bool(chunk)
