"""`chatrooms chat`: talk in a room from a terminal, or from a pipe."""

import asyncio
import contextlib
import sys
import time

from chatrooms.client import terminal_view as view
from chatrooms.client.account import Credentials, SignInFailed, is_loopback, sign_in
from chatrooms.client.chat_client import ChatClient
from chatrooms.client.errors import ChatError, ConnectionLost, OutboxFull
from chatrooms.client.events import (
    Event,
    Invite,
    MemberEvent,
    Mention,
    Message,
    Notice,
    Offline,
    Online,
    Position,
    Presence,
    Typing,
)
from chatrooms.client.rest import RestClient
from chatrooms.client.subscription import EventStream, Subscription
from chatrooms.client.terminal_screen import PlainScreen, PromptScreen, Screen

HISTORY_MESSAGES = 20
HISTORY_MESSAGES_MAX = 500
HISTORY_PAGES_MAX = 10
LEAVE_S_MAX = 10.0
TYPING_S = 6.0
TYPING_EVERY_S = 3.0
HELP = (
    "Type a line and press Enter to say it. Commands:",
    "  /who           who is here now",
    "  /history [n]   n older messages (20)",
    "  /me does this  say what you do",
    "  /help          these lines",
    "  /quit          leave; Ctrl-D too",
)


async def run_chat(
    url: str,
    rest_url: str,
    room: str,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    screen: Screen | None = None,
    credentials: Credentials | None = None,
) -> int:
    """Talk in `room` until the person leaves; returns the exit code, 0 or 1.

    `url` is the socket (ws://127.0.0.1:8001/ws), `rest_url` the REST side
    (http://127.0.0.1:8000). With `token` nothing else is asked; else `user` (asked for when
    None) signs in with `password`, with a remembered one, or, on a server of this machine, with
    a new account. Failures are one sentence on standard error. When standard input is no
    terminal, lines are read from it and plain lines printed.
    """
    screen = screen or (PromptScreen() if sys.stdin.isatty() else PlainScreen())
    try:
        async with RestClient(rest_url) as rest:
            if token is not None:
                rest.token = token
                client = ChatClient(url, token=token, client="chatrooms-terminal")
            else:
                account = await sign_in(
                    rest,
                    rest_url,
                    screen,
                    credentials or Credentials.default(),
                    user=user,
                    password=password,
                )
                client = ChatClient(url, token_source=account.token, client="chatrooms-terminal")
            await rest.join(room)
            async with client:
                return await Conversation(client, rest, room, screen).run()
    except SignInFailed as error:
        return _fail(str(error))
    except ConnectionLost as error:
        reason = str(error).rstrip(".")
        hint = " Start one with: chatrooms serve" if is_loopback(rest_url) else ""
        return _fail(f"No chat server answers at {rest_url} and {url}: {reason}.{hint}")
    except ChatError as error:
        reason = str(error).rstrip(".")
        return _fail(f"The server refused: {reason} ({error.code}).")
    except (EOFError, KeyboardInterrupt, asyncio.CancelledError):
        return 0


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 -- the one sentence promised
    return 1


class Conversation:
    """One person in one room."""

    def __init__(self, client: ChatClient, rest: RestClient, room: str, screen: Screen) -> None:
        """`client` is connected, the user a member of `room`."""
        self._client = client
        self._rest = rest
        self._room = room
        self._screen = screen
        self._names: dict[str, str] = {}
        self._typing: dict[str, float] = {}
        self._typed_at = 0.0
        self._oldest = 0
        self._shown = 0
        self._posted = 0
        self._caught_up = asyncio.Event()
        self._sends: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    async def run(self) -> int:
        """Show the last messages, then talk until the person or the room ends it."""
        self._screen.status = self._status
        self._screen.on_edit = self._edit
        states = self._client.events()
        subscription = await self._client.subscribe(self._room, want=("presence", "typing"))
        self._subscription = subscription
        await self._learn_names()
        with self._screen.open():
            await self._greet(subscription)
            tasks = [
                asyncio.create_task(self._follow(subscription)),
                asyncio.create_task(self._follow_states(states)),
                asyncio.create_task(self._talk()),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return 0

    async def _greet(self, subscription: Subscription) -> None:
        head = subscription.position or Position("", 0)
        self._oldest = head.seq + 1
        self._shown = head.seq
        await self._show_older(HISTORY_MESSAGES, unread_after=subscription.read)
        self._client.mark_read(self._room, subscription.n)
        self._screen.show(
            view.note(f"you are in {self._room} as {self._me()}; /help says what you can do")
        )

    async def _follow(self, subscription: Subscription) -> None:
        async for event in subscription:
            await self._show(event)
        self._screen.show(view.note("you are no longer in this room", view.ALERT))

    async def _follow_states(self, states: EventStream) -> None:
        was_offline = False
        async for event in states:
            if isinstance(event, Offline):
                was_offline = True
            elif isinstance(event, Online) and not was_offline:
                continue
            if isinstance(event, Offline | Online | Notice | Invite | Mention):
                await self._show(event)

    async def _talk(self) -> None:
        async for line in self._screen.lines():
            text = line.strip()
            if not text:
                continue
            if text in {"/quit", "/exit"}:
                break
            if text.startswith("/") and not text.startswith(("/me ", "//")):
                await self._command(text)
            else:
                self._say(text.removeprefix("/") if text.startswith("//") else text)
        await self._leave()

    async def _leave(self) -> None:
        """Wait until what was said is stored and, in a pipe, also shown."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S_MAX):
                if self._sends:
                    await asyncio.wait(self._sends)
                while self._shown < self._posted:
                    self._caught_up.clear()
                    await self._caught_up.wait()
        if self._sends:
            self._screen.show(view.note(f"{len(self._sends)} messages were not sent", view.ALERT))

    async def _command(self, text: str) -> None:
        name, _, argument = text.partition(" ")
        try:
            if name == "/who":
                roster = await self._client.who(self._room, limit=100)
                names = sorted(person.display_name for person in roster.members)
                more = "" if roster.next_cursor is None else " and others"
                self._screen.show(view.note(f"{roster.count} here: {', '.join(names)}{more}"))
            elif name == "/history":
                wanted = int(argument) if argument.strip().isdecimal() else HISTORY_MESSAGES
                await self._show_older(min(wanted, HISTORY_MESSAGES_MAX))
            else:
                if name != "/help":
                    self._screen.show(view.note(f"there is no command {name}"))
                for line in HELP:
                    self._screen.show([("", line)])
        except (ChatError, ConnectionLost) as error:
            self._screen.show(view.note(f"{name} failed: {error}", view.ALERT))

    def _say(self, text: str) -> None:
        task = asyncio.create_task(self._send(text))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)
        self._typed_at = 0.0
        self._screen.refresh()

    async def _send(self, text: str) -> None:
        try:
            sent = await self._client.send(self._room, text)
            self._posted = max(self._posted, sent.seq)
        except (ChatError, OutboxFull) as error:
            self._screen.show(view.note(f"not sent: {error} ({text})", view.ALERT))
        except ConnectionLost:
            self._screen.show(view.note(f"perhaps not sent: {text}", view.ALERT))

    async def _show_older(self, messages: int, *, unread_after: int | None = None) -> None:
        """Show up to `messages` before the oldest shown; a line marks where unread ones begin."""
        found: list[Event] = []
        count = 0
        more = self._oldest > 1
        for _page in range(HISTORY_PAGES_MAX):
            if not more or count >= messages:
                break
            page = await self._client.history(self._room, before=self._oldest, limit=100)
            for event in reversed(page.events):
                if count >= messages:
                    break
                found.append(event)
                count += isinstance(event, Message)
                self._oldest = getattr(event, "seq", None) or self._oldest
            more = page.more and bool(page.events)
        if unread_after is None and not count:
            self._screen.show(view.note("there is nothing older"))
        marked = unread_after is None
        for event in reversed(found):
            if isinstance(event, Message) and not marked and event.n > (unread_after or 0):
                marked = True
                self._screen.show(view.note("new since you were here", "bold"))
            await self._show(event)

    async def _show(self, event: Event) -> None:
        if isinstance(event, Presence):
            self._screen.refresh()
            return
        if isinstance(event, Typing):
            await self._note_typing(event)
            return
        for user in _people_of(event):
            await self._learn_name(user)
        if isinstance(event, Message):
            self._typing.pop(event.sender, None)
            self._client.mark_read(self._room, event.n)
        line = view.show(event, self._names, self._client.user)
        if line is not None:
            self._screen.show(line)
        seq = getattr(event, "seq", None)
        if isinstance(seq, int) and getattr(event, "room", None) == self._room:
            self._shown = max(self._shown, seq)
            self._caught_up.set()
        self._screen.refresh()

    async def _note_typing(self, event: Typing) -> None:
        await self._learn_name(event.sender)
        if event.on:
            self._typing[event.sender] = time.monotonic() + TYPING_S
        else:
            self._typing.pop(event.sender, None)
        self._screen.refresh()

    def _edit(self, text: str) -> None:
        now = time.monotonic()
        if text and not text.startswith("/") and now - self._typed_at >= TYPING_EVERY_S:
            self._typed_at = now
            self._client.typing(self._room, on=True)

    def _status(self) -> view.Fragments:
        now = time.monotonic()
        typing = [self._names.get(user, user) for user, end in self._typing.items() if end > now]
        return view.status(
            self._room,
            online=self._client.online,
            count=self._subscription.online if self._subscription else 0,
            unsent=self._client.unsent,
            typing=typing,
            user=self._me(),
        )

    def _me(self) -> str:
        me = self._client.user or ""
        return self._names.get(me, me)

    async def _learn_names(self) -> None:
        with contextlib.suppress(ChatError, ConnectionLost):
            me = await self._rest.me()
            self._names[me.user] = me.display_name
        with contextlib.suppress(ChatError, ConnectionLost):
            for person in await self._rest.members(self._room):
                self._names[person.user] = person.display_name

    async def _learn_name(self, user: str) -> None:
        if user not in self._names:
            self._names[user] = user
            with contextlib.suppress(ChatError, ConnectionLost):
                self._names[user] = (await self._rest.user(user)).display_name


def _people_of(event: Event) -> tuple[str, ...]:
    match event:
        case Message(sender=sender) | Invite(sender=sender):
            return (sender,)
        case MemberEvent(users=users):
            return users[: view.TYPING_NAMES_MAX]
    return ()
