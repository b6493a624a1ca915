"""Code of the documentation is run: what a reader copies has to work.

A block ```` ```python file=NAME ```` is saved as NAME; blocks ```` ```sh run ```` of one page are
run in order by one shell beside a running node, whose ports stand in for 8000 and 8001.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from chatrooms.config import Config
from tests.docs.pages import Block, blocks, pages
from tests.integration.running import RunningNode

LEAVE_NOTHING_BEHIND = "trap 'jobs -p | xargs -r kill' EXIT"
PAGES = (
    "README.md",
    "docs/tutorials/first-conversation.md",
    "docs/tutorials/a-bot.md",
    "docs/how-to/test-under-load.md",
    "docs/how-to/back-up-and-restore.md",
)


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_a_page_work(
    checkout: Path, tmp_path: Path, node: RunningNode, name: str
) -> None:
    """In order, in one shell that stops at the first failure."""
    found = blocks(checkout / name)
    for block in found:
        for wish in block.wishes:
            if wish.startswith("file="):
                (tmp_path / wish.removeprefix("file=")).write_text(_here(block.text, node))
    parts = [_here(block.text, node) for block in found if "run" in block.wishes]
    assert parts, "the page has nothing to run"
    script = "\n".join([LEAVE_NOTHING_BEHIND, *parts])
    home = node.data_dir.parent
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "data").symlink_to(node.data_dir)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**node.variables, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for line in done.stdout.splitlines():
        assert '"status":4' not in line, f"a request was refused: {line}"
        assert '"t":"err"' not in line, f"an op was refused: {line}"


def test_every_page_that_has_something_to_run_is_run(checkout: Path) -> None:
    """The list above is complete."""
    runnable = {
        str(page.relative_to(checkout))
        for page in pages(checkout)
        if any("run" in block.wishes for block in blocks(page))
    }
    assert runnable == set(PAGES)


def test_every_python_block_compiles(checkout: Path) -> None:
    """Also those that are not run."""
    found = _every(checkout, "python")
    assert found
    for page, block in found:
        compile(block.text, str(page), "exec")


def test_every_json_block_parses(checkout: Path) -> None:
    """Each line, or the whole block."""
    for page, block in _every(checkout, "json"):
        assert json.loads(block.text) is not None, page


def test_every_shell_block_is_shell(checkout: Path) -> None:
    """`bash -n` reads it without complaint."""
    found = _every(checkout, "sh")
    assert found
    for page, block in found:
        done = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}: {done.stderr}"


def test_every_toml_block_is_a_configuration(checkout: Path) -> None:
    """Its keys and values are accepted."""
    found = _every(checkout, "toml")
    assert found
    for page, block in found:
        try:
            Config(**tomllib.loads(block.text))
        except ValidationError as error:
            raise AssertionError(f"{page}: {error}") from None


def test_every_named_make_target_exists(checkout: Path) -> None:
    """`make NAME` in a shell block is a target of the Makefile."""
    makefile = (checkout / "Makefile").read_text()
    named = {
        line.split()[1]
        for _, block in _every(checkout, "sh")
        for line in block.text.splitlines()
        if line.startswith("make ")
    }
    assert named
    for target in named:
        assert f"\n{target}:" in makefile, target


def _every(checkout: Path, language: str) -> list[tuple[Path, Block]]:
    return [
        (page, block)
        for page in pages(checkout)
        for block in blocks(page)
        if block.language == language
    ]


def _here(text: str, node: RunningNode) -> str:
    rest = text.replace("127.0.0.1:8000", f"127.0.0.1:{node.http_port}")
    return rest.replace("127.0.0.1:8001", f"127.0.0.1:{node.ws_port}")
