"""The scripts of the build answer a missing tool or a bad subject with one clear sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BASICS = ("bash", "env", "sed", "sort", "head", "cut", "dirname", "grep", "cat", "id", "paste")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: the basic commands, and nothing that we ask for."""
    for name in BASICS:
        place = next(
            Path(folder) / name for folder in ("/usr/bin", "/bin") if (Path(folder) / name).exists()
        )
        (tmp_path / name).symlink_to(place)
    return tmp_path


def install(machine: Path, name: str, script: str) -> None:
    """Put a command on the machine."""
    command = machine / name
    command.write_text(f"#!/usr/bin/env bash\n{script}\n")
    command.chmod(0o755)


def run(checkout: Path, machine: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the checkout on a machine that has only what was put there."""
    return subprocess.run(
        [str(checkout / command[0]), *command[1:]],
        env={"PATH": str(machine), "HOME": str(machine)},
        capture_output=True,
        text=True,
        check=False,
    )


def complete(machine: Path) -> None:
    """Put everything there that a build and its tests need."""
    install(machine, "python3.11", f'exec "{os.path.realpath(sys.executable)}" "$@"')
    install(machine, "cargo", "true")
    install(machine, "rustc", "echo rustc 1.95.0")
    install(machine, "cc", "true")
    install(machine, "node", "echo v20.20.2")
    install(machine, "npm", "true")


def test_complete_machine_is_accepted(checkout: Path, machine: Path) -> None:
    """Where nothing is missing nothing is said."""
    complete(machine)
    result = run(checkout, machine, ".ci/prerequisites", "test")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        ("python3.11", "Python 3.11 or newer was not found"),
        ("cargo", "cargo was not found on PATH"),
        ("cc", "no C compiler"),
        ("npm", "node and npm were not found"),
    ],
)
def test_missing_tool_gets_one_sentence(
    checkout: Path, machine: Path, removed: str, words: str
) -> None:
    """Each tool is missed by name, in one line, with a non-zero exit."""
    complete(machine)
    (machine / removed).unlink()
    result = run(checkout, machine, ".ci/prerequisites", "test")
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        ("python3.11", "exit 1", "only an older one"),
        ("python3.11", '[[ "$*" != *ensurepip* ]]', "cannot make virtual environments"),
        ("rustc", "echo rustc 1.63.0", "Rust 1.63.0 is too old"),
        ("node", "echo v18.19.0", "Node v18.19.0 is too old"),
    ],
)
def test_unfit_tool_gets_one_sentence(
    checkout: Path, machine: Path, name: str, script: str, words: str
) -> None:
    """A tool that is too old, or a Python without venv, is told from one that is absent."""
    complete(machine)
    install(machine, name, script)
    result = run(checkout, machine, ".ci/prerequisites", "test")
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_newer_python_is_found_behind_an_inactive_shim(checkout: Path, machine: Path) -> None:
    """A pyenv shim that refuses to run does not hide the interpreter that does."""
    complete(machine)
    (machine / "python3.11").rename(machine / "python3.13")
    install(machine, "python3.11", "echo pyenv: version is not set >&2; exit 127")
    result = run(checkout, machine, ".ci/prerequisites", "python")
    assert result.stdout == f"{machine / 'python3.13'}\n"


@pytest.mark.parametrize(
    ("subject", "accepted"),
    [
        ("hub: Shed ephemeral events first.", True),
        ("Merge branch 'main'", True),
        ("shed ephemeral events first", False),
        ("hub: shed ephemeral events first.", False),
        ("hub: Shed ephemeral events first", False),
        ("hub: Shed " + "x" * 63 + ".", False),
    ],
)
def test_commit_hook_holds_the_subject(
    checkout: Path, machine: Path, subject: str, *, accepted: bool
) -> None:
    """A subject that is not `area: Imperative sentence.` of 72 characters is refused."""
    message = machine / "message"
    message.write_text(f"{subject}\n\nWhy.\n")
    result = run(checkout, machine, ".githooks/commit-msg", str(message))
    assert (result.returncode == 0) is accepted
