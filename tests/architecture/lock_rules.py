"""Rules on the lock files: every version exact and checksummed, and none forgotten."""

import re
from collections.abc import Iterable
from typing import Any

PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ \\;]+)", re.IGNORECASE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def canonical(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, str]:
    """Name → version of a requirements lock. Raises ValueError on a loose or hashless entry."""
    found: dict[str, str] = {}
    text = "\n".join(line for line in lock.splitlines() if not line.lstrip().startswith("#"))
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip():
            continue
        match = PIN.match(entry)
        if match is None or not HASH.search(entry):
            message = f"{entry.split()[0]} is not pinned to a version with a sha256"
            raise ValueError(message)
        found[canonical(match["name"])] = match["version"]
    return found


def forgotten(wanted: Iterable[str | dict[str, str]], locked: Iterable[str]) -> set[str]:
    """Names that are asked for and not locked; groups included by reference are left out."""
    names = {canonical(NAME.findall(entry)[0]) for entry in wanted if isinstance(entry, str)}
    return names - set(locked)


def npm_violations(lock: dict[str, Any]) -> list[str]:
    """Packages of package-lock.json without a checksum, or with a registry's address."""
    found = []
    for path, package in lock["packages"].items():
        if not path:
            continue
        if "resolved" in package:
            found.append(f"{path}: names where it came from")
        if not package.get("integrity", "").startswith("sha512-"):
            found.append(f"{path}: has no sha512")
    return found
