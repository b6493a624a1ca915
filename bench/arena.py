"""Servers under measurement: started pinned to core 0, their CPU seconds read from the system."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE = {0}
CLIENT_CORE = {1}
PAYLOAD_BYTES = 128
QUIET = {"CHATROOMS_RATE_LIMITS": "off", "CHATROOMS_PING_MS": "3600000"}


def _pinned(command: list[str], core: set[int], **options: Any) -> subprocess.Popen[str]:  # noqa: ANN401
    process = subprocess.Popen(command, text=True, **options)  # noqa: S603 -- our own programs
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(process.pid, core)
    return process


@dataclass
class Server:
    """A running server: its process and how a swarm speaks to it."""

    name: str
    process: subprocess.Popen[str]
    dialect: dict[str, Any]
    receivers_less: int = 0
    swarm: subprocess.Popen[str] | None = field(default=None)

    def cpu_seconds(self) -> float:
        """User and system seconds of the process, its threads and its children."""
        top = psutil.Process(self.process.pid)
        spent = 0.0
        for process in (top, *top.children(recursive=True)):
            times = process.cpu_times()
            spent += times.user + times.system
        return spent

    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def ask(self, **job: Any) -> dict[str, Any]:  # noqa: ANN401
        """One job of the swarm."""
        if self.swarm is None:
            command = [sys.executable, str(ROOT / "bench" / "swarm.py")]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.swarm = _pinned(command, CLIENT_CORE, **pipes)
        assert self.swarm.stdin and self.swarm.stdout  # noqa: PT018 -- piped above
        self.swarm.stdin.write(json.dumps(job) + "\n")
        self.swarm.stdin.flush()
        line = self.swarm.stdout.readline()
        if not line:
            raise RuntimeError(f"the swarm of {self.name} has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Ends the swarm and the server."""
        if self.swarm is not None:
            self.swarm.kill()
            self.swarm.communicate()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def padded(template: str) -> str:
    """The message template filled up to PAYLOAD_BYTES with one marker in it."""
    missing = PAYLOAD_BYTES - len(template.replace("SERIAL", "0" * 8)) + len("PAD")
    return template.replace("PAD", "~" + "x" * max(0, missing - 1))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _chatrooms(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "chatrooms", *arguments]


@contextmanager
def peer(name: str) -> Iterator[Server]:
    """A peer of bench/peers by module name."""
    command = [sys.executable, str(ROOT / "bench" / "peers" / f"{name}.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = _pinned(command, SERVER_CORE, **pipes)
    assert process.stdout
    port = int(process.stdout.readline())
    message = padded('{"SERIAL":"PAD"}')
    dialect = {"port": port, "path": "/", "subprotocol": None, "tokens": [], "rooms": []}
    server = Server(name, process, dialect | {"message": message})
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def chatrooms(
    members: int, *, rooms: int = 1, signals: bool = False, name: str = "chatrooms"
) -> Iterator[Server]:
    """A node on its defaults (SQLite, synchronous=FULL); `members` are in each of `rooms`.

    Rates are off, and pings far apart, because the swarm says nothing of itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        http_port, ws_port = _free_port(), _free_port()
        command = _chatrooms(
            "serve", "--http-port", str(http_port), "--ws-port", str(ws_port), "--data-dir", folder
        )
        environment = os.environ | QUIET
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
        process = _pinned(command, SERVER_CORE, **quiet)
        server = Server(name, process, {}, receivers_less=int(signals))
        try:
            _await_ready(f"http://127.0.0.1:{http_port}/readyz", process)
            tokens = _cli("token", "--user", "m", "--count", str(members), "--data-dir", folder)
            make = ("room", "--name", "bench", "--members-prefix", "m", "--data-dir", folder)
            made = [_cli(*make)[0] for _ in range(rooms)]
            body = f'"room":"{made[0]}","body":{{"text":"PAD"}}}}'
            stored = '{"t":"send","id":1SERIAL,"cid":"SERIAL",' + body
            server.dialect = {
                "port": ws_port,
                "path": "/ws",
                "subprotocol": "chat.v1",
                "tokens": tokens,
                "rooms": made,
                "message": padded('{"t":"signal",' + body if signals else stored),
            }
            yield server
        finally:
            server.stop()


def _cli(*arguments: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 -- our own program
        _chatrooms(*arguments), capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def _await_ready(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=1) as answer:  # noqa: S310 -- http on loopback
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the node did not become ready")
