"""Every file of the checkout is tidy, and each tidy rule is seen to fail."""

from pathlib import Path

import pytest

from tests.architecture.tidy_rules import COLUMNS_MAX, LINES_MAX, violations
from tests.architecture.tree import owned_files, read_text

PY = '"""What it is for."""\n'
RS = "//! What it is for.\n"


def python_function(lines: int) -> str:
    """Source of a module with one function of so many lines."""
    return PY + "\n\ndef f() -> None:\n" + "    pass\n" * (lines - 1)


def rust_function(lines: int) -> str:
    """Source of a module with one method of so many lines."""
    body = "        work();\n" * (lines - 2)
    return RS + "impl A {\n    pub fn f(&self) -> u8 {\n" + body + "    }\n}\n"


def test_every_file_is_tidy(checkout: Path) -> None:
    """No committed text breaks a rule of tidy_rules."""
    files = [path for path in owned_files(checkout) if path.suffix != ".lock"]
    assert files
    found = [
        line
        for path in files
        if (text := read_text(checkout / path)) is not None
        for line in violations(path, text)
    ]
    assert not found, "\n".join(found)


def test_locks_name_no_registry_either(checkout: Path) -> None:
    """Lock files are too long for the other rules, yet must not name where things came from."""
    locks = [path for path in owned_files(checkout) if path.suffix == ".lock"]
    assert locks
    found = [line for path in locks for line in violations(path, (checkout / path).read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.py", "import os\n", "docstring"),
        ("a.pyi", "", "docstring"),
        ("a.rs", "use std::fmt;\n//! Late.\n", "does not open"),
        ("a.sh", "#!/bin/sh\nset -e\n", "does not open"),
        ("a.mjs", "import ws from 'ws';\n", "does not open"),
        ("a.py", PY + "\n" * LINES_MAX[".py"], "401 lines"),
        ("a.rs", RS + "\n" * LINES_MAX[".rs"], "601 lines"),
        ("a.py", PY + "#" * (COLUMNS_MAX + 1), "101 columns"),
        ("a.rs", RS + "/" * (COLUMNS_MAX + 1), "101 columns"),
        ("a.py", python_function(71), "71 lines, at most 70"),
        ("a.rs", rust_function(71), "71 lines, at most 70"),
        ("net_utils.py", PY, "says nothing"),
        ("helpers/a.py", PY, "says nothing"),
        ("a.py", PY + "class RoomManager: ...\n", "says nothing"),
        ("a.rs", RS + "pub struct ShardManager;\n", "says nothing"),
        ("a.rs", RS + "fn frame_helper() {}\n", "says nothing"),
        ("a.py", PY + "def get_room() -> None: ...\n", "begins with get_"),
        ("a.rs", RS + "    pub fn get_room(&self) {}\n", "begins with get_"),
        ("a.md", "see /" + "work/main for it", "names /"),
        ("a.toml", 'path = "/' + 'root/.cargo"', "names /"),
        ("a.yaml", "url: https://" + "py" + "pi.org/simple", "names "),
        ("a.json", '"resolved": "https://registry.npm' + 'js.org/ws"', "names "),
        ("core_rs/chat-hub/src/a.rs", RS + "let t = Instant::now();\n", "uses Instant::now"),
        ("core_rs/chat-hub/src/a.rs", RS + "use std::time::SystemTime;\n", "uses SystemTime"),
        ("core_rs/chat-proto/src/a.rs", RS + "use std::net::TcpStream;\n", "uses std::net"),
        ("core_rs/chat-proto/src/a.rs", RS + "use std::fs::File;\n", "uses std::fs"),
        ("core_rs/chat-proto/src/a.rs", RS + "std::thread::spawn(f);\n", "uses std::thread"),
        ("core_rs/chat-hub/src/a.rs", RS + "#[cfg(test)]\nmod t;\nuse std::fs;\n", "uses std::fs"),
        ("core_rs/chat-hub/src/a.rs", RS + 'println!("x");\n', "uses println!"),
    ],
)
def test_planted_untidiness_is_found(name: str, text: str, words: str) -> None:
    """Each rule finds its violation, and finds it once."""
    found = violations(Path(name), text)
    assert len(found) == 1, found
    assert words in found[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", PY + "\n" * (LINES_MAX[".py"] - 1)),
        ("a.py", PY + "x" * COLUMNS_MAX + "  # noqa: S608 -- a table's name"),
        ("a.py", python_function(70)),
        ("a.rs", rust_function(70)),
        ("a.rs", RS + "trait A {\n    fn f(\n        &self,\n    ) -> u8;\n}\n" + "\n" * 80),
        ("a.py", PY + "@override\ndef get_completions() -> None: ...\n"),
        ("a.md", "mount it at /var/lib/chatrooms, ask https://example.org/tmp/"),
        ("core_rs/chat-net/src/a.rs", RS + "let t = Instant::now();\n"),
        ("core_rs/chat-hub/src/a.rs", RS + "// never Instant::now()\n"),
        ("core_rs/chat-hub/src/a.rs", RS + "#[cfg(test)]\nmod tests {\n    use std::thread;\n}\n"),
        ("a.py", '"""Tables.\n\ntidy: allow length because one table.\n"""\n' + "\n" * 500),
    ],
)
def test_tidy_text_is_accepted(name: str, text: str) -> None:
    """The rules stop at their bounds and accept an exception that says why."""
    assert violations(Path(name), text) == []


def test_an_excuse_without_a_reason_excuses_nothing() -> None:
    """`because` has to be followed by something."""
    text = '"""Tables.\n\ntidy: allow length because\n"""\n' + "\n" * 500
    assert len(violations(Path("a.py"), text)) == 1
