"""A real node as a process: started on free ports, asked, stopped, killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

START_SECONDS = 60.0
STOP_SECONDS = 15.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as trial:
        port: int = trial.getsockname()[1]
        return port


class RunningNode:
    """`chatrooms serve` on one data directory; `environment` lasts over restarts."""

    def __init__(self, checkout: Path, home: Path, environment: dict[str, str]) -> None:
        self.data_dir = home / "data"
        self.http_port = free_port()
        self.ws_port = free_port()
        self.admin_port = free_port()
        self.environment = environment
        self.log_path = home / "node.log"
        self._home = home
        self._checkout = checkout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def rest_url(self) -> str:
        """Base of the REST side."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def ws_url(self) -> str:
        """The socket."""
        return f"ws://127.0.0.1:{self.ws_port}/ws"

    @property
    def pid(self) -> int:
        """Process id of the running node."""
        assert self._process is not None
        return self._process.pid

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the node and of commands beside it."""
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("CHATROOMS_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        path = os.pathsep.join(filter(None, (str(self._checkout), plain.get("PYTHONPATH"))))
        return {
            **plain,
            "PYTHONPATH": path,
            # Compiled once for all the processes that tests start: a second less for each.
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "chatrooms-pycache"),
            "CHATROOMS_DATA_DIR": str(self.data_dir),
            "CHATROOMS_HTTP_PORT": str(self.http_port),
            "CHATROOMS_WS_PORT": str(self.ws_port),
            "CHATROOMS_ADMIN_PORT": str(self.admin_port),
            **self.environment,
        }

    def start(self, *command: str) -> None:
        """Starts it (by default `chatrooms serve`) and returns when it is ready."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command or [sys.executable, "-m", "chatrooms", "serve"],
                cwd=self._home,
                env=self.variables,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_SECONDS
        while not self._ready():
            code = self._process.poll()
            assert code is None, f"exit code {code}\n{self.log()}"
            assert time.monotonic() < until, f"not ready\n{self.log()}"
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: as when the power fails."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the node, and to it alone."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Stops and starts on the same data directory and ports."""
        assert self.stop() == 0
        self.start()

    def end(self) -> None:
        """Leaves no process behind, however the test went."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def cli(self, *args: str) -> subprocess.CompletedProcess[str]:
        """`chatrooms ARGS` beside the node, with its settings."""
        return self.run([sys.executable, "-m", "chatrooms", *args])

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Any command with the settings of the node, until it ends."""
        return subprocess.run(
            command,
            cwd=self._home,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def tokens(self, user: str, count: int | None = None) -> list[str]:
        """Access tokens from `chatrooms token`."""
        many = [] if count is None else ["--count", str(count)]
        done = self.cli("token", "--user", user, *many)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def rest(self, token: str | None = None) -> httpx.Client:
        """An HTTP client on the REST side, with a bearer token if one is given."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.rest_url, headers=headers, trust_env=False, timeout=10)

    def log(self) -> str:
        """What the node wrote, starts before the last one included."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def _ready(self) -> bool:
        try:
            with self.rest() as rest:
                return rest.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
