"""The layers of the control plane hold, and each rule about imports is seen to fail."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.import_rules import (
    RULES,
    adapter_imports,
    client_imports,
    extension_imports,
    foreign_imports,
)
from tests.architecture.tree import python_modules

Rule = Callable[[Path, str], list[str]]

SKELETON = ("domain", "ports", "app", "api", "ingress", "client", "adapters/one", "adapters/two")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the `chatrooms` of a folder by that folder's pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    return subprocess.run(
        [*command, "--no-cache", "--config", "pyproject.toml"],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def plant(root: Path, checkout: Path, path: str, source: str) -> None:
    """Lay out an empty control plane under the real contracts, with one module of our choice."""
    shutil.copy(checkout / "pyproject.toml", root)
    for package in (".", "adapters", *SKELETON):
        folder = root / "chatrooms" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text('"""Planted."""\n')
    for module in ("bootstrap", "cli", "config"):
        (root / "chatrooms" / f"{module}.py").write_text('"""Planted."""\n')
    target = root / "chatrooms" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source)


def test_imports_follow_the_layers(checkout: Path) -> None:
    """import-linter keeps every contract of pyproject.toml on the real package."""
    result = lint_imports(checkout)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_import_rules(checkout: Path, rule: Rule) -> None:
    """No module of the package breaks a rule of import_rules."""
    modules = python_modules(checkout, "chatrooms")
    assert modules
    found = [line for path in modules for line in rule(path, (checkout / path).read_text())]
    assert not found, "\n".join(found)


def test_every_folder_of_the_package_is_a_package(checkout: Path) -> None:
    """A folder without __init__.py would be invisible to import-linter."""
    folders = {path.parent for path in python_modules(checkout, "chatrooms")}
    assert not [str(path) for path in folders if not (checkout / path / "__init__.py").exists()]


def test_an_innocent_package_is_accepted(checkout: Path, tmp_path: Path) -> None:
    """The planted layout alone breaks nothing, so the failures below are the violations' own."""
    plant(tmp_path, checkout, "app/post.py", "from chatrooms.ports import __doc__\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("domain/room.py", "import chatrooms.app"),
        ("domain/room.py", "import chatrooms.ports"),
        ("ports/log.py", "import chatrooms.app"),
        ("app/post.py", "import chatrooms.adapters"),
        ("app/post.py", "from chatrooms.api import __doc__"),
        ("api/rooms.py", "import chatrooms.ingress"),
        ("api/rooms.py", "import chatrooms.adapters.one"),
        ("api/rooms.py", "import chatrooms.config"),
        ("ingress/pump.py", "import chatrooms.bootstrap"),
        ("adapters/one/log.py", "import chatrooms.adapters.two"),
        ("bootstrap.py", "import chatrooms.cli"),
        ("client/session.py", "import chatrooms.bootstrap"),
        ("unplaced.py", '"""In no layer."""'),
    ],
)
def test_planted_import_breaks_a_contract(
    checkout: Path, tmp_path: Path, path: str, source: str
) -> None:
    """Each kind of forbidden import, and a module in no layer, is refused by import-linter."""
    plant(tmp_path, checkout, path, source + "\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (foreign_imports, "chatrooms/domain/room.py", "import orjson"),
        (foreign_imports, "chatrooms/app/post.py", "def f():\n    from fastapi import Body"),
        (foreign_imports, "chatrooms/ports/log.py", "import_module('structlog')"),
        (client_imports, "chatrooms/client/link.py", "from chatrooms.domain import room"),
        (client_imports, "chatrooms/client/link.py", "from ..domain import room"),
        (client_imports, "chatrooms/client/link.py", "import structlog"),
        (extension_imports, "chatrooms/ingress/pump.py", "from chatrooms import _core"),
        (extension_imports, "chatrooms/ingress/pump.py", "from .. import _core"),
        (extension_imports, "chatrooms/adapters/memory/a.py", "import chatrooms._core"),
        (extension_imports, "chatrooms/cli.py", "from chatrooms._core import Core"),
        (extension_imports, "chatrooms/cli.py", "importlib.import_module('chatrooms._core')"),
        (adapter_imports, "chatrooms/config.py", "import chatrooms.adapters.sqlite"),
        (adapter_imports, "chatrooms/asgi.py", "from .adapters import sqlite"),
    ],
)
def test_planted_import_breaks_a_rule(rule: Rule, path: str, source: str) -> None:
    """Each rule finds its violation, spelled in every way that Python allows."""
    assert len(rule(Path(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("chatrooms/domain/room.py", "import dataclasses\nfrom .event import Event"),
        ("chatrooms/client/link.py", "import asyncio, picows\nfrom chatrooms.client import cid"),
        ("chatrooms/adapters/core/gateway.py", "from chatrooms._core import Core"),
        ("chatrooms/bootstrap.py", "from chatrooms.adapters.sqlite import log"),
        ("chatrooms/cli/admin.py", "from chatrooms.adapters.sqlite import log"),
    ],
)
def test_permitted_imports_break_no_rule(path: str, source: str) -> None:
    """The rules leave alone what the architecture allows."""
    assert [line for rule in RULES for line in rule(Path(path), source)] == []
