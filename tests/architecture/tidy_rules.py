"""Rules on the text of a file: header, sizes, names, and what must never be committed.

Each rule takes a path and its text and answers with what it finds wrong. A file may be excused
from one rule by a line `tidy: allow RULE because …` among its first forty: an exception says why.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

LINES_MAX = {".py": 400, ".pyi": 400, ".rs": 600}
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
COLUMNS_SUFFIXES = frozenset({".py", ".pyi", ".rs", ".js", ".mjs", ".ts", ".sh"})
EXCUSE = re.compile(r"tidy: allow (?P<rule>[a-z_]+) because \S+")

# The letters in brackets keep these patterns from finding themselves.
MACHINE_PATH = re.compile(r"(?<![\w.])/(w[o]rk|r[o]ot|f[a]rm|t[m]p|h[o]me)/[A-Za-z.]")
REGISTRY_HOST = re.compile(
    r"p[y]pi\.org|p[y]thonhosted\.org|npm[j]s\.(org|com)|(index|static)\.c[r]ates\.io|"
    r"proxy\.g[o]lang\.org|deb\.d[e]bian\.org|repo1?\.m[a]ven|d[o]cker\.io|gh[c]r\.io"
)
PRAGMA = re.compile(r"\s*# (noqa|type: ignore|pragma:)\b.*$")
VAGUE_WORD = re.compile(r"^(utils?|helpers?|managers?)$")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
RUST_FUNCTION = re.compile(r"^(?P<indent> *)(pub(\(\w+\))? )?((const|async|unsafe) )*fn \w+")
RUST_ITEM = re.compile(r"\b(fn|struct|enum|trait|mod|type|union)\s+(?P<name>[A-Za-z_]\w*)")
IMPURE = re.compile(
    r"\bInstant::now\b|\bSystemTime\b|\bstd::(net|fs|thread|env|process|os)\b|\bgetrandom\b|"
    r"\brand::|\be?print(ln)?!|\bstd::io::std(in|out|err)\b"
)
TEST_MODULE = re.compile(r"^#\[cfg\(test\)\]\n(#\[.*\]\n)*mod \w+ \{", re.MULTILINE)
PURE_CRATES = ("core_rs/chat-proto/src", "core_rs/chat-hub/src")


def header(path: Path, text: str) -> Iterator[str]:
    """A file opens with what it is for."""
    lines = text.splitlines()
    match path.suffix:
        case ".py" | ".pyi":
            if not ast.get_docstring(ast.parse(text)):
                yield f"{path}: has no module docstring"
        case ".rs":
            if not lines or not lines[0].startswith("//! "):
                yield f"{path}: does not open with a //! line"
        case ".sh" | ".js" | ".mjs" | ".ts":
            opening = [line for line in lines if not line.startswith("#!")][:1]
            if not opening or not opening[0].startswith(("#", "//", "/*")):
                yield f"{path}: does not open with a comment"


def length(path: Path, text: str) -> Iterator[str]:
    """A file is short enough to be read at once."""
    count = text.count("\n")
    if count > LINES_MAX.get(path.suffix, count):
        yield f"{path}: {count} lines, at most {LINES_MAX[path.suffix]}"


def columns(path: Path, text: str) -> Iterator[str]:
    """A line fits two panes side by side; what it says to a checker does not count."""
    if path.suffix not in COLUMNS_SUFFIXES:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if (width := len(PRAGMA.sub("", line))) > COLUMNS_MAX:
            yield f"{path}:{number}: {width} columns, at most {COLUMNS_MAX}"


def function_length(path: Path, text: str) -> Iterator[str]:
    """A function fits on a screen. In Rust this trusts rustfmt: the closing brace is aligned."""
    if path.suffix == ".py":
        spans = [
            (node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    elif path.suffix == ".rs":
        spans = list(_rust_functions(text.splitlines()))
    else:
        return
    for name, number, count in spans:
        if count > FUNCTION_LINES_MAX:
            yield f"{path}:{number}: {name} has {count} lines, at most {FUNCTION_LINES_MAX}"


def _rust_functions(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    for start, line in enumerate(lines):
        if (match := RUST_FUNCTION.match(line)) is None:
            continue
        for end in range(start, len(lines)):
            # A trait's method without a body ends at its semicolon.
            if lines[end].endswith(";") and not lines[end].startswith(match["indent"] + " "):
                break
            if lines[end].startswith(match["indent"] + "}") or (
                end == start and line.endswith("}")
            ):
                yield match[0].split()[-1], start + 1, end - start + 1
                break


def names(path: Path, text: str) -> Iterator[str]:
    """Names say what a thing is; `get_` and vague words do not."""
    for part in path.with_suffix("").parts:
        if any(VAGUE_WORD.match(word.lower()) for word in WORD.findall(part)):
            yield f"{path}: {part} says nothing about what is inside"
    for number, name in _defined(path, text):
        if any(VAGUE_WORD.match(word.lower()) for word in WORD.findall(name)):
            yield f"{path}:{number}: {name} says nothing about what it is"
        if name.startswith("get_"):
            yield f"{path}:{number}: {name} begins with get_"


def _defined(path: Path, text: str) -> Iterator[tuple[int, str]]:
    if path.suffix in {".py", ".pyi"}:
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            # A method that a library asks for keeps the library's name.
            if not any(ast.unparse(mark).endswith("override") for mark in node.decorator_list):
                yield node.lineno, node.name
    elif path.suffix == ".rs":
        for number, line in enumerate(text.splitlines(), 1):
            for match in RUST_ITEM.finditer(line.partition("//")[0]):
                yield number, match["name"]


def private_places(path: Path, text: str) -> Iterator[str]:
    """Nothing names the machine it was written on, nor the registry it was installed from."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in (MACHINE_PATH, REGISTRY_HOST):
            if match := pattern.search(line):
                yield f"{path}:{number}: names {match[0]}"


def purity(path: Path, text: str) -> Iterator[str]:
    """The crates proto and hub do no I/O, start no thread, read no clock, draw no randomness."""
    if not any(path.is_relative_to(crate) for crate in PURE_CRATES):
        return
    tests = TEST_MODULE.search(text)
    for number, line in enumerate(text[: tests.start() if tests else None].splitlines(), 1):
        if match := IMPURE.search(line.partition("//")[0]):
            yield f"{path}:{number}: uses {match[0]}, time and entropy come in as arguments"


RULES = (header, length, columns, function_length, names, private_places, purity)


def violations(path: Path, text: str) -> list[str]:
    """What every rule finds wrong with a file, less the rules it is excused from."""
    opening = "\n".join(text.splitlines()[:40])
    excused = {match["rule"] for match in EXCUSE.finditer(opening)}
    return [line for rule in RULES if rule.__name__ not in excused for line in rule(path, text)]
