"""Rules on the Cargo manifests: who may depend on whom, and who owns which foreign crate."""

from collections.abc import Iterator, Mapping
from typing import Any

Manifest = Mapping[str, Any]

LADDER: dict[str, frozenset[str]] = {
    "chat-proto": frozenset(),
    "chat-hub": frozenset({"chat-proto"}),
    "chat-net": frozenset({"chat-proto", "chat-hub"}),
    "chat-py": frozenset({"chat-proto", "chat-hub", "chat-net"}),
    "chat-load": frozenset({"chat-proto"}),
    "chat-sim": frozenset({"chat-proto", "chat-hub"}),
}
"""Each crate and those of ours that it may use."""

OWNER = {
    "pyo3": "chat-py",
    "rustix": "chat-net",
    "libc": "chat-net",
    "mio": "chat-net",
    "socket2": "chat-net",
    "io-uring": "chat-net",
}
"""Foreign crates that reach for the interpreter or the kernel, and the one crate that may."""

SHARED_OWNERS = {"rustix": frozenset({"chat-load"}), "libc": frozenset({"chat-load"})}
"""The load engine is a program of its own beside the server; it has sockets too."""

FOREIGN_MAX = {"chat-hub": frozenset({"hashbrown", "slab"})}
"""Crates that name every foreign dependency they may have."""


def dependencies(manifest: Manifest) -> Iterator[tuple[str, Any]]:
    """Yield what ends up in the built crate: dependencies of all targets, without dev ones."""
    tables = [manifest, *manifest.get("target", {}).values()]
    for table in tables:
        for kind in ("dependencies", "build-dependencies"):
            for name, wanted in table.get(kind, {}).items():
                package = wanted.get("package", name) if isinstance(wanted, dict) else name
                yield package, wanted


def violations(manifest: Manifest) -> list[str]:
    """What is wrong with one crate's manifest."""
    crate = manifest["package"]["name"]
    if crate not in LADDER:
        return [f"{crate}: has no rung on the ladder in crate_rules.py"]
    return [
        *_forbidden(crate, manifest),
        *_settings(crate, manifest),
    ]


def _forbidden(crate: str, manifest: Manifest) -> Iterator[str]:
    for name, wanted in dependencies(manifest):
        if name in LADDER:
            if name not in LADDER[crate]:
                yield f"{crate}: depends on {name}, which stands above it"
        elif name in OWNER:
            if crate != OWNER[name] and crate not in SHARED_OWNERS.get(name, ()):
                yield f"{crate}: depends on {name}, which belongs to {OWNER[name]}"
        elif crate in FOREIGN_MAX and name not in FOREIGN_MAX[crate]:
            yield f"{crate}: depends on {name}, which is not on its list"
        if not (isinstance(wanted, dict) and wanted.get("workspace")):
            yield f"{crate}: gives {name} a version of its own, the workspace has it"


def _settings(crate: str, manifest: Manifest) -> Iterator[str]:
    if manifest.get("lints") != {"workspace": True}:
        yield f"{crate}: does not take the lints of the workspace"
    inherited = ("version", "edition", "rust-version", "license", "publish")
    for key in inherited:
        if manifest["package"].get(key) != {"workspace": True}:
            yield f"{crate}: does not take {key} from the workspace"


def workspace_violations(workspace: Manifest) -> list[str]:
    """What is wrong with the workspace's own manifest: the lints that must not be softened."""
    lints = workspace["workspace"]["lints"]
    found = []
    if lints["rust"].get("unsafe_code") not in {"deny", "forbid"}:
        found.append("workspace: unsafe_code is not denied")
    for lint in ("pedantic", "unwrap_used", "expect_used", "panic"):
        level = lints["clippy"].get(lint)
        if (level["level"] if isinstance(level, dict) else level) not in {"warn", "deny"}:
            found.append(f"workspace: clippy::{lint} is off")
    if workspace["profile"]["release"].get("panic", "unwind") != "unwind":
        found.append("workspace: a panic would end the process, not the connection")
    return found
