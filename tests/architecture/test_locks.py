"""What is installed is exactly what was locked, and each rule about it is seen to fail."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.lock_rules import forgotten, npm_violations, pins

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
SHA256 = "--hash=sha256:" + "0" * 64


@pytest.fixture(scope="module")
def project(checkout: Path) -> dict[str, Any]:
    """pyproject.toml as it stands."""
    return tomllib.loads((checkout / "pyproject.toml").read_text())


def locked(checkout: Path, name: str) -> dict[str, str]:
    """The pins of one lock file."""
    return pins((checkout / name).read_text())


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_has_a_version_and_a_hash(checkout: Path, name: str) -> None:
    """A lock file holds exact versions with sha256 sums only."""
    assert locked(checkout, name)


def test_no_dependency_is_missing_from_its_lock(checkout: Path, project: dict[str, Any]) -> None:
    """What pyproject.toml asks for was locked: nobody forgot `make lock`."""
    groups = project["dependency-groups"]
    asked = (project["project"]["dependencies"], groups["build"], groups["dev"])
    for wanted, name in zip(asked, LOCKS, strict=True):
        assert not forgotten(wanted, locked(checkout, name)), name


def test_locks_agree_on_every_version(checkout: Path) -> None:
    """Tests run on the versions that are served, built by the tools that build the release."""
    dev = locked(checkout, "requirements-dev.lock")
    for name in LOCKS[:2]:
        assert locked(checkout, name).items() <= dev.items()


def test_node_packages_are_locked_without_a_registry(checkout: Path) -> None:
    """package-lock.json has checksums and no addresses, and covers package.json."""
    lock = json.loads((checkout / "tests/js/package-lock.json").read_text())
    asked = json.loads((checkout / "tests/js/package.json").read_text())
    assert npm_violations(lock) == []
    assert lock["packages"][""]["devDependencies"] == asked["devDependencies"]


def test_both_halves_have_one_version(checkout: Path, project: dict[str, Any]) -> None:
    """The Python package and the crates are released together."""
    cargo = tomllib.loads((checkout / "Cargo.toml").read_text())
    assert project["project"]["version"] == cargo["workspace"]["package"]["version"]


@pytest.mark.parametrize("entry", ["orjson>=3", "orjson==3.13.0", "orjson", "git+ssh://a/b"])
def test_loose_requirement_is_refused(entry: str) -> None:
    """A range, a missing hash or an address is no pin."""
    with pytest.raises(ValueError, match="not pinned"):
        pins(f"picows==2.3.1 {SHA256}\n{entry}\n")


def test_forgotten_dependency_is_named() -> None:
    """A dependency that is not in the lock is found whatever its spelling."""
    wanted: list[str | dict[str, str]] = ["Typer>=1", "prompt_toolkit>=3", {"include-group": "x"}]
    assert forgotten(wanted, pins(f"prompt-toolkit==3.0.53 \\\n    {SHA256}\n")) == {"typer"}


def test_node_package_with_an_address_or_no_checksum_is_found() -> None:
    """Both faults of a package-lock entry are named."""
    packages = {"": {}, "node_modules/ws": {"resolved": "https://example.org/ws.tgz"}}
    assert len(npm_violations({"packages": packages})) == 2
