"""`chatrooms chat` against a running node: two terminals talk, and so do pipes and the bot."""

import asyncio
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.conftest import MakeNode
from tests.integration.conversation.people import PASSWORD, Town
from tests.integration.running import RunningNode, free_port
from tests.integration.sdk.conftest import MakeClient, messages
from tests.integration.sdk.terminals import Terminal, command, variables

PIPE_SECONDS = 60


def pipe(
    node: RunningNode, home: Path, *arguments: str, text: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """`chatrooms chat` with `text` on standard input, until it ends."""
    return subprocess.run(
        command(*arguments),
        env=variables(node, home, **more),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=PIPE_SECONDS,
    )


@contextmanager
def terminal(node: RunningNode, home: Path, user: str) -> Iterator[Terminal]:
    """Somebody in the lobby at a terminal, which does not outlive the test."""
    made = Terminal(command("lobby", "--user", user), variables(node, home))
    try:
        made.see(f"you are in lobby as {user}")
        yield made
    finally:
        made.end()


def test_two_terminals_talk(town: Town, tmp_path: Path) -> None:
    """A name is enough; each sees what the other says, who is here, and leaves with code 0."""
    with (
        terminal(town.node, tmp_path, "ada") as ada,
        terminal(town.node, tmp_path, "grace") as grace,
    ):
        ada.type("Hello, is anybody here?\r")
        grace.see("ada: Hello, is anybody here?")
        grace.type("/me waves\r")
        ada.see("* grace waves")
        ada.type("/who\r")
        ada.see("2 here: ada, grace")
        grace.type("I am typ")
        ada.see("grace is typing")
        grace.type("\x03\x04")
        assert grace.leave() == 0
        ada.type("/who\r")
        ada.see("1 here: ada")
        ada.type("/quit\r")
        assert ada.leave() == 0
    remembered = tmp_path / "chatrooms" / "credentials.json"
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600


def test_terminal_carries_on_over_a_restart(make_node: MakeNode, tmp_path: Path) -> None:
    """Ctrl-C at the node and another start: the person sees both, and what is said after it."""
    node = make_node(drain_window_ms="200")
    node.start()
    with terminal(node, tmp_path, "ada") as ada:
        node.restart()
        ada.see("the server is restarting")
        ada.see("online again")
        ada.type("still here\r")
        ada.see("ada: still here")
        assert "still here" in pipe(node, tmp_path, "lobby", "--user", "ada").stdout
        ada.type("\x04")
        assert ada.leave() == 0


def test_pipe_says_its_lines_and_shows_them(town: Town, tmp_path: Path) -> None:
    """The second time the same name comes with the password that was drawn and kept."""
    for line in ("first line\nsecond line\n", "third line\n"):
        done = pipe(town.node, tmp_path, "lobby", "--user", "linus", text=line)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    said = [line[6:] for line in done.stdout.splitlines() if line[6:].startswith("linus: ")]
    assert said == ["linus: first line", "linus: second line", "linus: third line"]
    assert re.fullmatch(r"\d\d:\d\d ", done.stdout[:6])
    assert "\x1b" not in done.stdout


def test_password_comes_from_the_environment(town: Town, tmp_path: Path) -> None:
    """Without it a taken name is one sentence and code 1; so is a wrong one."""
    town.person("margaret")

    def come(**more: str) -> subprocess.CompletedProcess[str]:
        who = ("lobby", "--user", "margaret")
        return pipe(town.node, tmp_path, *who, text="hi\n", **more)

    refused = come()
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "CHATROOMS_PASSWORD" in refused.stderr
    wrong = come(CHATROOMS_PASSWORD="no such")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    done = come(CHATROOMS_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert "margaret: hi" in done.stdout
    assert not (tmp_path / "chatrooms").exists()


def test_refusals_are_one_sentence(town: Town, tmp_path: Path) -> None:
    """On standard error, with code 1: nobody serves, no such room, a name that will not do."""
    nobody = str(free_port())
    cases = [
        (["lobby", "--user", "ada"], {"CHATROOMS_HTTP_PORT": nobody}, "No chat server answers"),
        (["lobby", "--user", "Ada Lovelace"], {}, "could not be made: username: 3 to 32"),
        (["nowhere", "--user", "kathleen"], {}, "(not_found)"),
        (["lobby", "--token", "no.such.token"], {}, "(unauthorized)"),
    ]
    for arguments, more, sentence in cases:
        done = pipe(town.node, tmp_path, *arguments, **more)
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr
        assert re.fullmatch(r"[^\n]+\n", done.stderr), done.stderr
        assert ".." not in done.stderr
        assert ". (" not in done.stderr


async def test_bot_of_the_tutorial_answers(
    checkout: Path, town: Town, client: MakeClient, tmp_path: Path
) -> None:
    """The program as printed in docs/tutorials/a-bot.md, on this node's port."""
    page = (checkout / "docs" / "tutorials" / "a-bot.md").read_text(encoding="utf-8")
    program = re.search(r"^```python file=bot\.py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert program is not None
    script = tmp_path / "bot.py"
    script.write_text(program[1].replace(":8001/", f":{town.node.ws_port}/"), encoding="utf-8")
    bot, ada = town.people("robot", 2)
    for who in (bot, ada):
        town.do(who, "POST", "/rooms/lobby/join")
    running = await asyncio.create_subprocess_exec(
        sys.executable, str(script), bot.token, stdout=-1, env=town.node.variables
    )
    assert running.stdout is not None
    assert await running.stdout.readline() == b"listening\n"
    author = client(town.node.ws_url, token=ada.token)
    await author.connect()
    stream = await author.subscribe("lobby")
    for said, answer in (("bot, hello", "You said: hello"), ("bot, go home", "You said: go home")):
        await author.send("lobby", said)
        assert [event.text for event in await messages(stream, 2)] == [said, answer]
    assert await running.wait() == 0
