"""`hello` and `auth`: who comes in, with which rooms, and what they missed."""

import pytest

from chatrooms.app.asks import Asks, AuthAsk, HelloAsk
from chatrooms.app.resume import EVENTS_MAX, HELLO_BYTES_MAX, within_hello
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.position import Position
from chatrooms.domain.room import Kind
from chatrooms.ports.log import Post
from chatrooms.ports.sessions import Session
from tests.fakes.world import World


async def _login(world: World, name: str) -> tuple[Session, str]:
    """A session and an access token of an account made here."""
    [account] = await world.store.accounts.ensure([name])
    [session] = await world.store.sessions.start_many([account.id], "test")
    return session, world.tokens.issue(account.id, session.id, 900)


async def _room(world: World, user: str, messages: int, kind: Kind = Kind.PRIVATE) -> str:
    room = (await world.store.rooms.create(user, kind, "Garden")).room.id
    posts = [Post(room, user, f"c{each}", '{"text":"hi"}', None, None) for each in range(messages)]
    await world.store.log.append(posts)
    return room


def _hello(
    token: str, *rooms: tuple[str, str, int, int], connection: int = 1, kind: str = "token"
) -> HelloAsk:
    return HelloAsk(connection, 1, kind, token, rooms, None, "127.0.0.1")


def _asks(world: World) -> Asks:
    return world.cases.asks


async def test_good_token_is_welcomed_with_its_private_log(world: World) -> None:
    """User, session and expiry are the token's; room `me` is live from its head."""
    session, token = await _login(world, "ada")
    await _asks(world).welcome_many([_hello(token)])
    [answer] = world.gateway.welcomed
    assert (answer.connection, answer.id) == (1, 1)
    assert (answer.user, answer.session) == (session.user, session.id)
    assert answer.expires_ms == world.tokens.verify(token).expires_ms
    assert answer.now_ms == world.clock.now_ms()
    assert (answer.me.room, answer.me.since, answer.rooms) == ("me", None, [])


async def test_each_of_a_batch_gets_its_own_verdict(world: World) -> None:
    """Good, forged, expired, ended and unknown tickets in one wake."""
    session, good = await _login(world, "ada")
    ended, orphan = await _login(world, "ben")
    assert await world.store.sessions.end(ended.user, ended.id)
    expired = world.tokens.issue(session.user, session.id, -1)
    credentials = [
        ("token", good),
        ("token", "x"),
        ("token", expired),
        ("token", orphan),
        ("ticket", "nope"),
        ("magic", good),
    ]
    asks = [
        _hello(credential, connection=each, kind=kind)
        for each, (kind, credential) in enumerate(credentials)
    ]
    await _asks(world).welcome_many(asks)
    assert [answer.connection for answer in world.gateway.welcomed] == [0]
    assert [(connection, why.code) for connection, _, why, _ in world.gateway.refused] == [
        (1, Code.UNAUTHORIZED),
        (2, Code.TOKEN_EXPIRED),
        (3, Code.UNAUTHORIZED),
        (4, Code.UNAUTHORIZED),
        (5, Code.UNAUTHORIZED),
    ]


async def test_ticket_lets_its_session_in(world: World) -> None:
    """The connection lives as long as a fresh access token would."""
    _, token = await _login(world, "ada")
    claims = world.tokens.verify(token)
    ticket, _ = await world.cases.issue_ticket(claims)
    await _asks(world).welcome_many([_hello(ticket, kind="ticket")])
    [answer] = world.gateway.welcomed
    assert (answer.user, answer.session) == (claims.user, claims.session)
    assert answer.expires_ms == world.clock.now_ms() + 900_000


async def test_rooms_are_resumed_or_denied_one_by_one(world: World) -> None:
    """A member gets the missed lines; strangers and ids of no room get no standing at all."""
    session, token = await _login(world, "ada")
    other, _ = await _login(world, "ben")
    mine = await _room(world, session.user, 3)
    theirs = await _room(world, other.user, 3)
    epoch = world.store.log.epoch
    await _asks(world).welcome_many(
        [_hello(token, (mine, epoch, 3, 0), (theirs, epoch, 1, 0), ("me:x", epoch, 0, 0))]
    )
    [answer] = world.gateway.welcomed
    resumed, stranger, nonsense = answer.rooms
    whole = (await world.store.log.since([(mine, 3, 5)], 300, 1 << 20))[0]
    assert (resumed.room, resumed.head, resumed.n, resumed.role) == (mine, 5, 3, "owner")
    assert resumed.since == Position(epoch, 3)
    assert resumed.lines == whole
    for denied, name in ((stranger, theirs), (nonsense, "me:x")):
        assert denied.room == name
        assert (denied.role, denied.head, denied.n, denied.read, denied.lines) == (
            None, 0, 0, 0, None,
        )  # fmt: skip


async def test_private_log_resumes_like_a_room(world: World) -> None:
    """`me` may stand among the rooms; its position is answered apart."""
    session, token = await _login(world, "ada")
    await _room(world, session.user, 0)
    epoch = world.store.log.epoch
    await _asks(world).welcome_many([_hello(token, ("me", epoch, 0, 0))])
    [answer] = world.gateway.welcomed
    assert answer.rooms == []
    assert answer.me.since == Position(epoch, 0)
    assert answer.me.lines is not None
    assert '"t":"room_added"' in answer.me.lines[0]


@pytest.mark.parametrize(
    ("epoch", "seq", "held_from", "lines"),
    [
        ("", 12, 0, None),
        ("", 10, 0, 2),
        ("", 10, 11, None),
        ("", 10, 12, 2),
        ("", 13, 0, None),
        ("other", 10, 0, None),
    ],
)
async def test_lines_are_read_only_where_they_are_needed(
    world: World, epoch: str, seq: int, held_from: int, lines: list[str] | int | None
) -> None:
    """At the head none; what the hub holds, another epoch and the future are not read."""
    session, token = await _login(world, "ada")
    room = await _room(world, session.user, 10)
    since = (room, epoch or world.store.log.epoch, seq, held_from)
    await _asks(world).welcome_many([_hello(token, since)])
    found = world.gateway.welcomed[0].rooms[0].lines
    assert (len(found) if isinstance(lines, int) and found else found) == lines


@pytest.mark.parametrize(("behind", "served"), [(EVENTS_MAX, True), (EVENTS_MAX + 1, False)])
async def test_who_is_too_far_behind_gets_no_lines(world: World, behind: int, served: bool) -> None:
    """The bound is inclusive; beyond it the core says `gap`."""
    session, token = await _login(world, "ada")
    room = await _room(world, session.user, EVENTS_MAX + 2)
    head = EVENTS_MAX + 4
    since = (room, world.store.log.epoch, head - behind, 0)
    await _asks(world).welcome_many([_hello(token, since)])
    lines = world.gateway.welcomed[0].rooms[0].lines
    assert lines is not None, "None would say that the core holds them"
    assert len(lines) == (behind if served else 0)


def test_one_hello_is_given_at_most_a_mebibyte() -> None:
    """The room that passes the bound gets none, a smaller one after it still does."""
    big, small = ["x" * 99_999] * 10, ["y" * 99]
    assert sum(len(line) + 1 for line in big) == 1_000_000
    kept = within_hello([big, None, big, small, []])
    assert kept == [big, None, [], small, []]
    assert HELLO_BYTES_MAX == 1_048_576


async def test_store_that_fails_refuses_the_whole_batch_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unavailable` to each, whoever they are; nobody is let in unjudged."""
    _, token = await _login(world, "ada")

    async def fail(*_: object) -> None:
        raise Refusal(Code.UNAVAILABLE)

    monkeypatch.setattr(type(world.store.positions), "look", fail)
    await _asks(world).welcome_many([_hello(token), _hello("bad", connection=2)])
    assert world.gateway.codes() == ["unavailable", "unavailable"]
    assert world.gateway.welcomed == []


async def test_new_token_moves_the_expiry(world: World) -> None:
    """`auth` is for the same user; others are `forbidden`, bad ones refused as ever."""
    session, token = await _login(world, "ada")
    _, foreign = await _login(world, "ben")
    old = world.tokens.issue(session.user, session.id, -1)
    for id_, credential in enumerate((token, foreign, "x", old)):
        await _asks(world).reauthorize(AuthAsk(7, id_, credential, session.user, session.id))
    claims = world.tokens.verify(token)
    assert world.gateway.authorized == [(7, 0, claims.session, claims.expires_ms)]
    assert world.gateway.codes() == ["forbidden", "unauthorized", "token_expired"]
