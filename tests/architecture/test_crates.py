"""The crates stand on their ladder, and each rule about them is seen to fail."""

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.crate_rules import violations, workspace_violations

SHARED = {"workspace": True}


def manifest(crate: str, *wanted: str) -> dict[str, Any]:
    """A well-behaved manifest with some dependencies."""
    package = dict.fromkeys(("version", "edition", "rust-version", "license", "publish"), SHARED)
    return {
        "package": {"name": crate, **package},
        "lints": SHARED,
        "dependencies": dict.fromkeys(wanted, SHARED),
    }


def workspace(checkout: Path) -> dict[str, Any]:
    """The workspace's manifest."""
    return tomllib.loads((checkout / "Cargo.toml").read_text())


def test_every_crate_stands_on_its_rung(checkout: Path) -> None:
    """No crate of the workspace breaks a rule of crate_rules."""
    members = workspace(checkout)["workspace"]["members"]
    assert members
    found = [
        line
        for member in members
        for line in violations(tomllib.loads((checkout / member / "Cargo.toml").read_text()))
    ]
    assert not found, "\n".join(found)


def test_every_crate_is_a_member(checkout: Path) -> None:
    """A crate outside the workspace would escape its lints; only the fuzz targets are apart."""
    members = set(workspace(checkout)["workspace"]["members"])
    present = {
        str(path.parent.relative_to(checkout)) for path in checkout.glob("core_rs/*/Cargo.toml")
    }
    assert present - members <= {"core_rs/fuzz"}


def test_workspace_keeps_its_lints(checkout: Path) -> None:
    """Denied unsafe code, clippy pedantic and unwinding are set for all crates."""
    assert workspace_violations(workspace(checkout)) == []


@pytest.mark.parametrize(
    ("crate", "dependency", "words"),
    [
        ("chat-proto", "chat-hub", "stands above it"),
        ("chat-proto", "chat-net", "stands above it"),
        ("chat-hub", "chat-net", "stands above it"),
        ("chat-net", "chat-py", "stands above it"),
        ("chat-net", "pyo3", "belongs to chat-py"),
        ("chat-hub", "pyo3", "belongs to chat-py"),
        ("chat-hub", "rustix", "belongs to chat-net"),
        ("chat-py", "rustix", "belongs to chat-net"),
        ("chat-proto", "libc", "belongs to chat-net"),
        ("chat-py", "mio", "belongs to chat-net"),
        ("chat-hub", "serde_json", "not on its list"),
    ],
)
def test_planted_dependency_is_refused(crate: str, dependency: str, words: str) -> None:
    """Each dependency against the ladder or the owners is found."""
    found = violations(manifest(crate, dependency))
    assert len(found) == 1
    assert words in found[0]


def test_planted_dependency_of_one_target_is_refused() -> None:
    """A dependency for one platform counts like any other, and so does a renamed one."""
    planted = manifest("chat-hub")
    planted["target"] = {"cfg(unix)": {"dependencies": {"kernel": {**SHARED, "package": "libc"}}}}
    assert violations(planted) == ["chat-hub: depends on libc, which belongs to chat-net"]


def test_unknown_crate_is_refused() -> None:
    """A new crate has to be given its rung first."""
    assert "no rung" in violations(manifest("chat-extra"))[0]


def test_own_version_and_own_lints_are_refused() -> None:
    """Versions and lints are chosen once, in the workspace."""
    planted = manifest("chat-hub")
    planted["dependencies"]["slab"] = "0.4"
    planted["lints"] = {"clippy": {"pedantic": "allow"}}
    planted["package"]["edition"] = "2021"
    assert len(violations(planted)) == 3


def test_innocent_manifest_is_accepted() -> None:
    """The ladder itself breaks no rule, and tests may use what they like."""
    planted = manifest("chat-net", "chat-proto", "chat-hub", "rustix", "hashbrown")
    planted["dev-dependencies"] = {"tungstenite": SHARED, "libc": SHARED}
    assert violations(planted) == []


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("rust", "unsafe_code", "warn"),
        ("clippy", "pedantic", "allow"),
        ("clippy", "unwrap_used", "allow"),
        ("clippy", "panic", "allow"),
    ],
)
def test_softened_lint_is_found(checkout: Path, table: str, key: str, value: str) -> None:
    """A lint that is turned down in the workspace is noticed."""
    planted = deepcopy(workspace(checkout))
    planted["workspace"]["lints"][table][key] = value
    assert len(workspace_violations(planted)) == 1


def test_aborting_panics_are_found(checkout: Path) -> None:
    """`panic = "abort"` would take every connection down with one."""
    planted = deepcopy(workspace(checkout))
    planted["profile"]["release"]["panic"] = "abort"
    assert len(workspace_violations(planted)) == 1
