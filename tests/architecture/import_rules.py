"""Rules on imports that import-linter cannot state: allow lists and the compiled module.

Each rule takes one module's path and text and answers with what it finds wrong, so that the same
rule runs on the checkout and on a planted violation.
"""

import sys
from pathlib import Path

from tests.architecture.tree import imported_modules

PURE_PACKAGES = ("domain", "ports", "app")
"""Packages of chatrooms that know nothing outside the standard library (invariant 9)."""

CLIENT_LIBRARIES = frozenset({"picows", "orjson", "httpx", "prompt_toolkit", "rich"})
"""What the SDK may ask a bot author to install."""

EXTENSION = "chatrooms._core"
EXTENSION_OWNER = Path("chatrooms/adapters/core")
ADAPTERS = "chatrooms.adapters"
ADAPTER_IMPORTERS = (
    "chatrooms/bootstrap",
    "chatrooms/cli",
    "chatrooms/commands",
    "chatrooms/adapters",
)


def is_within(module: str, package: str) -> bool:
    """Whether a dotted name is a package or something inside it."""
    return module == package or module.startswith(f"{package}.")


def is_standard(module: str) -> bool:
    """Whether a dotted name belongs to the standard library."""
    return module.partition(".")[0] in sys.stdlib_module_names


def foreign_imports(path: Path, source: str) -> list[str]:
    """Imports of domain, ports and app that are neither standard nor our own."""
    if not any(path.is_relative_to(f"chatrooms/{package}") for package in PURE_PACKAGES):
        return []
    return [
        f"{path}: imports {module}, only the standard library and chatrooms are allowed here"
        for module in imported_modules(source, path)
        if not is_standard(module) and not is_within(module, "chatrooms")
    ]


def client_imports(path: Path, source: str) -> list[str]:
    """Imports by which the SDK would no longer stand alone."""
    if not path.is_relative_to("chatrooms/client"):
        return []
    return [
        f"{path}: imports {module}, the SDK stands alone"
        for module in imported_modules(source, path)
        if not is_standard(module)
        and not is_within(module, "chatrooms.client")
        and module != "chatrooms.__version__"
        and module.partition(".")[0] not in CLIENT_LIBRARIES
    ]


def extension_imports(path: Path, source: str) -> list[str]:
    """Imports of the compiled module outside the one adapter that owns it."""
    if path.is_relative_to(EXTENSION_OWNER):
        return []
    return [
        f"{path}: imports {module}, only {EXTENSION_OWNER} may"
        for module in imported_modules(source, path)
        if is_within(module, EXTENSION)
    ]


def adapter_imports(path: Path, source: str) -> list[str]:
    """Imports of adapters outside bootstrap and the administration of the command line."""
    importers = tuple(Path(name) for name in ADAPTER_IMPORTERS)
    if any(path.is_relative_to(name) or path == name.with_suffix(".py") for name in importers):
        return []
    return [
        f"{path}: imports {module}, only bootstrap names adapters"
        for module in imported_modules(source, path)
        if is_within(module, ADAPTERS)
    ]


RULES = (foreign_imports, client_imports, extension_imports, adapter_imports)
