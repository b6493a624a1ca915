"""Reading the checkout: which files are ours, and what a Python module imports."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path


def owned_files(checkout: Path) -> list[Path]:
    """Every file that is or would be committed, relative to the checkout, in order."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (Path(name) for name in sorted(set(listing.split("\0"))) if name)
    return [path for path in paths if (checkout / path).is_file()]


def read_text(path: Path) -> str | None:
    """The text of a file, or None where it holds binary data."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    return data.decode("utf-8")


def module_name(path: Path) -> str:
    """`chatrooms/api/rooms.py` is `chatrooms.api.rooms`, a package's `__init__` the package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, path: Path) -> Iterator[str]:
    """Yield the absolute dotted names that a module imports, wherever in it they stand.

    `from a import b` yields `a.b`, since b may be a module. A literal argument of
    `import_module` or `__import__` counts, so that a rule is not stepped round by a string.
    """
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                prefix = ".".join([*base, *([module] if module else [])])
                yield from (f"{prefix}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name),
                args=[ast.Constant(value=str(target)), *_],
            ) if name in {"import_module", "__import__"}:
                yield target


def python_modules(checkout: Path, folder: str) -> list[Path]:
    """The Python modules under a folder of the checkout, stubs left out."""
    return [
        path
        for path in owned_files(checkout)
        if path.suffix == ".py" and path.is_relative_to(folder)
    ]
