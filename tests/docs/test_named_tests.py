"""Tests, files and functions that the documentation names are there."""

import re
from pathlib import Path

from tests.docs.pages import pages, prose

NAMED_TEST = re.compile(r"`(?P<file>[\w./-]+\.(?:py|rs))::(?P<name>\w+)`")
NAMED_PLACE = re.compile(r"`(?P<path>(?:chatrooms|core_rs|tests|bench)/[\w./-]+)`")


def test_every_named_test_exists(checkout: Path) -> None:
    """A decision whose test has gone is held by nobody."""
    named = {
        (match["file"], match["name"])
        for page in pages(checkout)
        for match in NAMED_TEST.finditer(prose(page))
    }
    assert len(named) > 20
    missing = [
        f"{file}::{name}" for file, name in sorted(named) if not _defines(checkout / file, name)
    ]
    assert not missing, "\n".join(missing)


def _defines(file: Path, name: str) -> bool:
    return file.is_file() and bool(re.search(rf"\b(def|fn) {name}\b", file.read_text()))


def test_every_decision_names_its_test(checkout: Path) -> None:
    """Each page says by which test it would be noticed."""
    decisions = [
        page for page in (checkout / "docs" / "adr").glob("*.md") if page.name != "README.md"
    ]
    assert decisions
    for page in decisions:
        _, _, ending = page.read_text().partition("**No longer true when**")
        assert NAMED_TEST.search(ending), page.name


def test_every_named_place_exists(checkout: Path) -> None:
    """Files and folders of the source by their whole path."""
    missing = [
        f"{page.name}: {match['path']}"
        for page in pages(checkout)
        for match in NAMED_PLACE.finditer(prose(page))
        if not (checkout / match["path"]).exists()
    ]
    assert not missing, "\n".join(missing)
