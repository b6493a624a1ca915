"""The command line as a person meets it: exit codes, and one sentence for what went wrong."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from chatrooms import __version__

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, checkout: Path) -> Run:
    """Runs `chatrooms ARGS` in an empty folder with no settings but those given."""

    def command(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("CHATROOMS_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        plain["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "chatrooms-pycache")
        return subprocess.run(
            [sys.executable, "-m", "chatrooms", *args],
            cwd=tmp_path,
            env={**plain, "PYTHONPATH": _path(checkout, plain), "COLUMNS": "200", **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return command


def _path(checkout: Path, variables: dict[str, str]) -> str:
    return os.pathsep.join(filter(None, (str(checkout), variables.get("PYTHONPATH"))))


def _said(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence on stderr."""
    assert done.returncode == code
    assert done.stderr.startswith("chatrooms: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("chatrooms: ").rstrip("\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["dance"], "No such command 'dance'."),
        (["serve", "--http-port", "abc"], "Invalid value for '--http-port'"),
        (["config", "--config", "absent.toml"], "cannot read the config file absent.toml"),
        (["serve", "--dance"], "No such option: --dance"),
        (["token"], "Missing option '--user'"),
        (["token", "--user", "ada", "--count", "0"], "Invalid value for '--count'"),
        (["room", "--name", "x"], "Missing option '--members-prefix'"),
        (["chat"], "Missing argument 'ROOM'"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(run: Run, args: list[str], said: str) -> None:
    """No traceback, no box of lines."""
    assert said in _said(run(*args), 2)


def test_wrong_variable_is_one_sentence_and_code_2(run: Run) -> None:
    """The variable is named."""
    said = _said(run("config", CHATROOMS_PING_MS="1"), 2)
    assert said.startswith("ping_ms (environment CHATROOMS_PING_MS)")


@pytest.mark.parametrize("command", ["drain", "verify"])
def test_command_without_a_node_or_database_fails(run: Run, command: str) -> None:
    """Nothing to drain, nothing to verify: code 1, and no directory is made."""
    said = _said(run(command, "--data-dir", "absent"), 1)
    assert "absent" in said


def test_verify_makes_no_directory(run: Run, tmp_path: Path) -> None:
    """A question leaves no trace."""
    run("verify")
    assert not list(tmp_path.iterdir())


def test_config_shows_values_and_sources(run: Run) -> None:
    """As a table for people, as JSON for scripts."""
    shown = run("config", "--json", CHATROOMS_WS_PORT="9001")
    assert shown.returncode == 0
    rows = json.loads(shown.stdout)
    assert rows["ws_port"] == {"value": 9001, "from": "environment CHATROOMS_WS_PORT"}
    assert rows["http_port"] == {"value": 8000, "from": "default"}
    table = run("config", CHATROOMS_WS_PORT="9001", CHATROOMS_WS_PROT="1").stdout
    assert "environment CHATROOMS_WS_PORT" in table
    assert "CHATROOMS_WS_PROT is set, but there is no such setting." in table


def test_version_is_that_of_the_distribution(run: Run) -> None:
    """What a bug report begins with."""
    assert run("version").stdout.startswith(f"chatrooms {__version__} (Python 3.")


def test_help_lists_every_command(run: Run) -> None:
    """And asking for help is no error."""
    done = run("--help")
    assert done.returncode == 0
    for command in (
        "serve", "chat", "token", "room", "verify", "drain", "config", "doctor", "version"
    ):  # fmt: skip
        assert f" {command} " in done.stdout


def test_doctor_finds_a_taken_port(run: Run) -> None:
    """Code 1, and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("doctor", CHATROOMS_WS_PORT=str(port))
    assert done.returncode == 1
    assert f"another process listens on 127.0.0.1:{port}" in done.stdout
    assert "choose another port" in done.stdout


def test_doctor_finds_an_unwritable_data_directory(run: Run) -> None:
    """Where no file can be made no message can be stored."""
    done = run("doctor", "--data-dir", "/proc/chatrooms")
    assert done.returncode == 1
    assert "a data directory that it may write" in done.stdout


def test_doctor_is_content_with_a_plain_host(run: Run) -> None:
    """Free ports, a writable disk: code 0, whatever it advises."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(str(free.getsockname()[1]))
    done = run("doctor", CHATROOMS_HTTP_PORT=ports[0], CHATROOMS_WS_PORT=ports[1])
    assert done.returncode == 0, done.stdout
    assert "fdatasync" in done.stdout
