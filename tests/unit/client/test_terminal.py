"""The terminal client: signing in, and a conversation, by pipe and at a prompt."""

import asyncio
import io
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from chatrooms.client.account import Credentials, SignInFailed, is_loopback, sign_in
from chatrooms.client.errors import ChatError, ConnectionLost
from chatrooms.client.rest import RestClient
from chatrooms.client.terminal import run_chat
from chatrooms.client.terminal_screen import PlainScreen, PromptScreen
from chatrooms.client.terminal_view import Fragments, plain
from tests.fakes.rest import FakeRest, fake_rest
from tests.fakes.server import FakeServer, Line, Peer

FAR = "https://chat.example"


class ScriptedScreen:
    """A person who answers questions and types lines as told; what is shown is kept."""

    interactive = True

    def __init__(self, *answers: str) -> None:
        self.status: Callable[[], Fragments] = list
        self.on_edit: Callable[[str], None] = lambda _text: None
        self.answers = list(answers)
        self.questions: list[str] = []
        self.shown: list[str] = []
        self.typed: asyncio.Queue[str | None] = asyncio.Queue()
        self._changed = asyncio.Event()

    def show(self, line: Fragments) -> None:
        """Keep the text."""
        self.shown.append(plain(line))
        self._changed.set()

    def refresh(self) -> None:
        """Wake who waits for the status."""
        self._changed.set()

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Answer from the script."""
        self.questions.append(f"{question}{'*' if secret else ''}")
        return self.answers.pop(0)

    async def lines(self) -> AsyncIterator[str]:
        """Type what the test puts into `typed`."""
        while (line := await self.typed.get()) is not None:
            yield line

    def open(self) -> AbstractContextManager[None]:
        """Need nothing."""
        return nullcontext()

    async def sees(self, text: str) -> None:
        """Wait until a line or the status contains `text`."""
        while not any(text in line for line in [*self.shown, plain(self.status())]):
            self._changed.clear()
            await self._changed.wait()


@pytest.fixture
def rest() -> Iterator[FakeRest]:
    """A REST server that knows accounts."""
    with fake_rest() as fake:
        yield fake


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    """An empty file of remembered passwords."""
    return Credentials(tmp_path / "config" / "credentials.json")


async def signed_in(
    rest: FakeRest,
    credentials: Credentials,
    screen: ScriptedScreen | PlainScreen,
    server: str,
    **known: str,
) -> str:
    """Sign in and return the name."""
    async with RestClient(rest.url) as client:
        account = await sign_in(
            client,
            server,
            screen,
            credentials,
            user=known.get("user"),
            password=known.get("password"),
        )
        return account.username


async def test_newcomer_needs_only_a_name(rest: FakeRest, credentials: Credentials) -> None:
    """On this machine the account is made, and remembered for the next time."""
    screen = ScriptedScreen("Ann")
    assert await signed_in(rest, credentials, screen, rest.url) == "ann"
    assert screen.questions == ["Your name: "]
    assert credentials.recall(rest.url, "ann") == rest.passwords["ann"]
    assert stat.S_IMODE(credentials.path.stat().st_mode) == 0o600
    assert await signed_in(rest, credentials, ScriptedScreen(), rest.url, user="ann") == "ann"
    assert list(rest.passwords) == ["ann"]


async def test_taken_name_needs_its_password(rest: FakeRest, credentials: Credentials) -> None:
    """Asked for at a terminal, a sentence in a pipe; nothing is remembered."""
    rest.passwords["ann"] = "right"
    screen = ScriptedScreen("right")
    assert await signed_in(rest, credentials, screen, rest.url, user="ann") == "ann"
    assert screen.questions == ["Password for ann: *"]
    with pytest.raises(SignInFailed, match="not right"):
        await signed_in(rest, credentials, ScriptedScreen("wrong"), rest.url, user="ann")
    with pytest.raises(SignInFailed, match="give --token"):
        await signed_in(rest, credentials, PlainScreen(), rest.url, user="ann")
    assert credentials.recall(rest.url, "ann") is None


async def test_far_server_gets_no_account_unasked(rest: FakeRest, credentials: Credentials) -> None:
    """Elsewhere a new account is made only with a typed password and a yes."""
    with pytest.raises(SignInFailed, match="Not signed in"):
        await signed_in(rest, credentials, ScriptedScreen("secret", "n"), FAR, user="bob")
    assert rest.passwords == {}
    assert await signed_in(rest, credentials, ScriptedScreen("secret", "y"), FAR, user="bob")
    assert rest.passwords == {"bob": "secret"}
    with pytest.raises(SignInFailed, match="taken"):
        await signed_in(rest, credentials, ScriptedScreen("wrong", "y"), FAR, user="bob")


async def test_refusals_are_sentences(rest: FakeRest, credentials: Credentials) -> None:
    """No name, a name the server refuses, a wrong --password."""
    with pytest.raises(SignInFailed, match="--user"):
        await signed_in(rest, credentials, PlainScreen(), rest.url)
    with pytest.raises(SignInFailed, match="needed to talk"):
        await signed_in(rest, credentials, ScriptedScreen(""), rest.url)
    with pytest.raises(SignInFailed, match="too short"):
        await signed_in(rest, credentials, ScriptedScreen(), rest.url, user="x")
    with pytest.raises(SignInFailed, match="password is not right"):
        await signed_in(rest, credentials, ScriptedScreen(), FAR, user="c", password="no")


async def test_token_is_refreshed_and_else_logged_in_again(
    rest: FakeRest, credentials: Credentials
) -> None:
    """The first is the login's own; a used refresh token falls back to the password."""
    async with RestClient(rest.url) as client:
        account = await sign_in(
            client, rest.url, ScriptedScreen(), credentials, user="ann", password=None
        )
        assert await account.token() == "access-ann-1"
        assert await account.token() == "access-ann-2"
        rest.refreshable = False
        assert await account.token() == "access-ann-3"
        assert rest.asked[-2:] == ["POST /v1/auth/refresh", "POST /v1/auth/login"]


async def test_problems_become_errors(rest: FakeRest) -> None:
    """Code, retry time and connection failures of REST."""
    async with RestClient(rest.url) as client:
        with pytest.raises(ChatError) as raised:
            await client.login("ann", "wrong")
        assert (raised.value.code, raised.value.retry_after_ms) == ("unauthorized", 3_000)
        assert (await client.user("u7")).display_name == "U7"
    async with RestClient("http://127.0.0.1:1") as client:
        with pytest.raises(ConnectionLost):
            await client.me()


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://10.0.0.1:8000", False),
        ("https://localhost.example.com", False),
        ("nonsense", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, *, near: bool) -> None:
    """Names that merely look like it are not."""
    assert is_loopback(url) is near


def test_broken_credentials_file_is_as_good_as_none(credentials: Credentials) -> None:
    """A half-edited file must not keep anybody out."""
    credentials.path.parent.mkdir()
    credentials.path.write_text("{")
    assert credentials.recall("s", "ann") is None
    credentials.remember("s", "ann", "p")
    assert credentials.recall("s", "ann") == "p"


def test_credentials_stand_in_the_configuration_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CONFIG_HOME, else ~/.config."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/cfg")
    assert Credentials.default().path == Path("/cfg/chatrooms/credentials.json")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert Credentials.default().path == Path.home() / ".config/chatrooms/credentials.json"


async def test_pipe_reads_lines_and_prints_plain_ones(
    server: FakeServer, rest: FakeRest, credentials: Credentials
) -> None:
    """History first, then what was said and stored; the end of input leaves."""
    server.append("lobby", "u2", "before")
    sink = io.StringIO()
    screen = PlainScreen(io.StringIO("hello\n\n/me waves\n"), sink)
    code = await run_chat(
        server.url, rest.url, "lobby", user="ann", screen=screen, credentials=credentials
    )
    assert code == 0
    lines = [line.split(" ", 1)[1] for line in sink.getvalue().splitlines()]
    assert lines == [
        "new since you were here",
        "U2: before",
        "you are in lobby as Ann; /help says what you can do",
        "Ann: hello",
        "* Ann waves",
    ]
    assert "POST /v1/rooms/lobby/join" in rest.asked


async def test_conversation_shows_what_happens(
    server: FakeServer, rest: FakeRest, credentials: Credentials
) -> None:
    """People, typing, presence, commands, an outage and its end."""
    for number in range(30):
        server.append("lobby", "u2", f"old {number}")
    screen = ScriptedScreen()
    chat = asyncio.create_task(
        run_chat(server.url, rest.url, "lobby", user="ann", screen=screen, credentials=credentials)
    )
    await screen.sees("you are in lobby")
    assert [line for line in screen.shown if "old 10" in line]
    assert not [line for line in screen.shown if "old 9" in line]
    screen.typed.put_nowait("/history 5")
    await screen.sees("old 9")
    screen.typed.put_nowait("/who")
    await screen.sees("1 here: Ann")
    screen.typed.put_nowait("/nonsense")
    await screen.sees("there is no command /nonsense")
    await screen.sees("/quit")
    peer = server.peers[0]
    await peer.say({"t": "typing", "room": "lobby", "from": "u2", "on": True})
    await screen.sees("U2 is typing")
    await peer.say({"t": "typing", "room": "lobby", "from": "u2", "on": False})
    await peer.say({"t": "presence", "room": "lobby", "count": 7, "+": [], "-": []})
    await screen.sees("7 online · you are Ann")
    assert "typing" not in plain(screen.status())
    joined = {"t": "member", "room": "lobby", "seq": 31, "ts": 1, "from": "u3", "user": "u3"}
    await peer.say(joined | {"action": "join"})
    await screen.sees("U3 joined")
    screen.on_edit("hel")
    await server.wait_for(lambda: server.heard[-1]["t"] == "typing")
    await server.close_all(4110, '{"retry_after_ms":1}')
    await screen.sees("offline")
    await screen.sees("online again")
    screen.typed.put_nowait(None)
    assert await chat == 0
    await server.wait_for(lambda: not server.peers)


async def test_refused_message_is_told_to_who_typed_it(
    server: FakeServer, rest: FakeRest, credentials: Credentials
) -> None:
    """With the server's words and what was typed, so that it can be typed again."""

    def mute(_peer: Peer, line: Line) -> list[Line] | None:
        if line["t"] == "send":
            return [{"t": "err", "id": line["id"], "code": "muted", "msg": "you are muted"}]
        return None

    server.intercept = mute
    screen = ScriptedScreen()
    screen.typed.put_nowait("//slash")
    screen.typed.put_nowait("/quit")
    code = await run_chat(
        server.url, rest.url, "lobby", user="ann", screen=screen, credentials=credentials
    )
    assert code == 0
    await screen.sees("not sent: you are muted (/slash)")


async def test_removed_member_is_told_and_the_program_ends(
    server: FakeServer, rest: FakeRest, credentials: Credentials
) -> None:
    """The own kick is shown last."""
    screen = ScriptedScreen()
    chat = asyncio.create_task(
        run_chat(server.url, rest.url, "lobby", user="ann", screen=screen, credentials=credentials)
    )
    await screen.sees("you are in lobby")
    kick = {"t": "member", "room": "lobby", "seq": 1, "ts": 1, "from": "u2", "user": "u1"}
    await server.peers[0].say(kick | {"action": "kick"})
    assert await chat == 0
    assert screen.shown[-1] == "-- you are no longer in this room"
    assert "Ann was removed" in screen.shown[-2]


async def test_failures_are_one_sentence(
    server: FakeServer,
    rest: FakeRest,
    credentials: Credentials,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No server, a refused account, a revoked session: exit code 1 and no traceback."""
    screen = ScriptedScreen()
    nobody = "http://127.0.0.1:1"
    assert await run_chat("ws://127.0.0.1:1/ws", nobody, "lobby", token="t", screen=screen) == 1
    assert "No chat server answers" in capsys.readouterr().err
    code = await run_chat(
        server.url, rest.url, "lobby", user="x", screen=screen, credentials=credentials
    )
    assert code == 1
    assert capsys.readouterr().err == "The account x could not be made: username: too short.\n"
    chat = asyncio.create_task(run_chat(server.url, rest.url, "lobby", token="t", screen=screen))
    await screen.sees("you are in lobby")
    await server.close_all(4003)
    assert await chat == 1
    assert capsys.readouterr().err.startswith("The server refused: the session was revoked")


@pytest.fixture
def keyboard() -> Iterator[PipeInput]:
    """Keys that a test presses."""
    with create_pipe_input() as pipe:
        yield pipe


async def test_prompt_yields_lines_until_ctrl_d(keyboard: PipeInput) -> None:
    """Ctrl-C clears the line, Ctrl-D leaves; edits are told for the typing sign."""
    screen = PromptScreen(keyboard, DummyOutput())
    edits: list[str] = []
    screen.on_edit = edits.append
    keyboard.send_text("abc\x03hello\r\x04")
    with screen.open():
        screen.show([("bold", "line")])
        screen.refresh()
        assert [line async for line in screen.lines()] == ["hello"]
    assert "hello" in edits


async def test_prompt_asks_before_the_conversation(keyboard: PipeInput) -> None:
    """The answer comes stripped."""
    keyboard.send_text(" secret \r")
    assert await PromptScreen(keyboard, DummyOutput()).ask("Password: ", secret=True) == "secret"
