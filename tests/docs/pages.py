"""The documentation as text: its pages, their tables, their code blocks, their links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} +(?P<title>.+)$", re.MULTILINE)
_CELLS: Final = re.compile(r"(?<!\\)\|")
TOP: Final = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


class Block(NamedTuple):
    """A fenced code block: its language, what its info line asks for, its text."""

    language: str
    wishes: tuple[str, ...]
    text: str


def pages(checkout: Path) -> list[Path]:
    """Every page that people read."""
    return [*(checkout / name for name in TOP), *sorted((checkout / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page in order."""
    found = []
    for match in _FENCE.finditer(page.read_text()):
        language, *wishes = match["info"].split() or [""]
        found.append(Block(language, tuple(wishes), match["text"]))
    return found


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> Iterator[str]:
    """What a page links to."""
    for match in _LINK.finditer(prose(page)):
        yield match["target"]


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as GitHub derives them."""
    return {
        re.sub(r"[^\w\- ]", "", match["title"].lower()).strip().replace(" ", "-")
        for match in _HEADING.finditer(prose(page))
    }


def section(page: Path, title: str) -> str:
    """The text under a heading, up to the next one of its level or above."""
    text = page.read_text()
    start = re.search(rf"^(?P<level>#+) {re.escape(title)}$", text, re.MULTILINE)
    assert start is not None, f"{page.name} has no section {title!r}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{len(start['level'])}}} ", rest, re.MULTILINE)
    return rest if end is None else rest[: end.start()]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row of `text`, headers and rules left out, backticks taken off."""
    found: list[list[str]] = []
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if not line.startswith("|") or re.fullmatch(r"[|\s:-]+", line):
            continue
        if place + 1 < len(lines) and re.fullmatch(r"\|[|\s:-]+", lines[place + 1]):
            continue
        cells = _CELLS.split(line.strip().strip("|"))
        found.append([cell.strip() for cell in cells])
    return found


def bare(cell: str) -> str:
    """A cell without backticks."""
    return cell.replace("`", "")
