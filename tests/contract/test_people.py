"""The Accounts, Sessions, Tickets and SigningKeys ports."""

import asyncio
from hashlib import sha256

import pytest

from chatrooms.domain.errors import Code, Refusal
from tests.contract.scenes import START_MS, Scene

GRACE_MS = 10_000
LIFE_MS = 1_000_000


def token(name: str) -> bytes:
    """The hash of a refresh token or ticket."""
    return sha256(name.encode()).digest()


async def test_username_is_taken_once(scene: Scene) -> None:
    """Of ten at once one gets it."""
    calls = [scene.store.accounts.create("dora", f"Dora {i}", "hash") for i in range(10)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refusal)]
    assert [(x.code, x.field) for x in refusals] == [(Code.CONFLICT, "username")] * 9
    account = await scene.store.accounts.by_username("dora")
    assert account in results
    assert account is not None
    assert await scene.store.accounts.by_id(account.id) == account
    assert (account.password_hash, account.created_ms) == ("hash", START_MS)


async def test_ensure_keeps_accounts_and_makes_the_others(scene: Scene) -> None:
    """In the order asked, doubles too, more than fit one transaction."""
    names = [f"load-{i}" for i in range(2_500)]
    accounts = await scene.store.accounts.ensure(["bert", *names, "bert"])
    assert [account.username for account in accounts] == ["bert", *names, "bert"]
    assert accounts[0].id == accounts[-1].id == scene.bert
    assert len({account.id for account in accounts}) == 2_501
    assert accounts[1].password_hash is None


async def test_accounts_of_a_prefix_come_by_name(scene: Scene) -> None:
    """The prefix is text, not a pattern."""
    await scene.store.accounts.ensure(["a_1", "a_2", "a_3", "ab1", "b_1"])
    found = await scene.store.accounts.with_prefix("a_", 2, None)
    found += await scene.store.accounts.with_prefix("a_", 2, found[-1].username)
    assert [account.username for account in found] == ["a_1", "a_2", "a_3"]


async def test_unknown_people_are_none(scene: Scene) -> None:
    """By id and by name."""
    assert await scene.store.accounts.by_id("x") is None
    assert await scene.store.accounts.by_username("x") is None


async def test_rehash_replaces_the_hash(scene: Scene) -> None:
    """Nothing else changes."""
    before = await scene.store.accounts.by_id(scene.anna)
    await scene.store.accounts.rehash(scene.anna, "stronger")
    after = await scene.store.accounts.by_id(scene.anna)
    assert before is not None
    assert after == before._replace(password_hash="stronger")


async def test_people_of_one_room_share_a_room(scene: Scene) -> None:
    """While both are members."""
    room = await scene.room(scene.bert)
    share = scene.store.accounts.share_room
    assert await share(scene.anna, scene.bert)
    assert not await share(scene.anna, scene.carl)
    await scene.store.rooms.leave(scene.bert, room)
    assert not await share(scene.anna, scene.bert)


async def test_session_lives_until_it_is_ended(scene: Scene) -> None:
    """Only by its own user, only once."""
    sessions = scene.store.sessions
    session = await sessions.start(scene.anna, "phone", token("1"), START_MS + LIFE_MS)
    assert await sessions.alive([session.id, "x", session.id]) == [True, False, True]
    assert not await sessions.end(scene.bert, session.id)
    assert await sessions.end(scene.anna, session.id)
    assert not await sessions.end(scene.anna, session.id)
    assert await sessions.alive([session.id]) == [False]
    assert await sessions.of_user(scene.anna) == []


async def test_sessions_are_listed_newest_first(scene: Scene) -> None:
    """Living ones only; those without a refresh token do not expire."""
    sessions = scene.store.sessions
    first = await sessions.start(scene.anna, "phone", token("1"), START_MS + 10)
    scene.clock.now_ms += 1
    second = await sessions.start(scene.anna, "cli", None, 0)
    assert await sessions.of_user(scene.anna) == [second, first]
    assert await sessions.of_user(scene.bert) == []
    scene.clock.now_ms += 10
    assert await sessions.of_user(scene.anna) == [second]
    assert await sessions.alive([first.id, second.id]) == [False, True]


async def test_many_sessions_start_at_once(scene: Scene) -> None:
    """In order, each alive."""
    users = [scene.anna, scene.bert] * 1_250
    started = await scene.store.sessions.start_many(users, "load")
    assert [session.user for session in started] == users
    assert all(await scene.store.sessions.alive([session.id for session in started]))


async def test_rotation_moves_on_to_the_new_token(scene: Scene) -> None:
    """The successor rotates in its turn and the session was seen."""
    sessions = scene.store.sessions
    session = await sessions.start(scene.anna, "phone", token("1"), START_MS + LIFE_MS)
    scene.clock.now_ms += 5
    expiry = START_MS + 2 * LIFE_MS
    one = await sessions.rotate(token("1"), token("2"), "sealed", expiry, GRACE_MS)
    two = await sessions.rotate(token("2"), token("3"), "sealed", expiry, GRACE_MS)
    assert (one.verdict, two.verdict) == ("rotated", "rotated")
    assert one.session == session._replace(seen_ms=START_MS + 5)


async def test_parallel_rotations_make_one_successor(scene: Scene) -> None:
    """Of 20 one rotates, 19 are given what it got."""
    sessions = scene.store.sessions
    await sessions.start(scene.anna, "phone", token("1"), START_MS + LIFE_MS)
    results = await asyncio.gather(
        *(
            sessions.rotate(token("1"), token(f"n{i}"), f"pair {i}", START_MS + LIFE_MS, GRACE_MS)
            for i in range(20)
        )
    )
    verdicts = [result.verdict for result in results]
    assert (verdicts.count("rotated"), verdicts.count("grace")) == (1, 19)
    winner = verdicts.index("rotated")
    successors = {result.successor for result in results if result.verdict == "grace"}
    assert successors == {f"pair {winner}"}


async def test_old_token_after_the_grace_ends_the_session(scene: Scene) -> None:
    """Reuse is theft: the current token is worth nothing either."""
    sessions = scene.store.sessions
    session = await sessions.start(scene.anna, "phone", token("1"), START_MS + LIFE_MS)
    expiry = START_MS + LIFE_MS
    await sessions.rotate(token("1"), token("2"), "sealed", expiry, GRACE_MS)
    scene.clock.now_ms += GRACE_MS
    reused = await sessions.rotate(token("1"), token("x"), "sealed", expiry, GRACE_MS)
    assert reused.verdict == "reused"
    assert reused.session is not None
    assert (reused.session.id, reused.session.ended_ms) == (session.id, scene.clock.now_ms)
    assert await sessions.alive([session.id]) == [False]
    current = await sessions.rotate(token("2"), token("y"), "sealed", expiry, GRACE_MS)
    assert current == ("unknown", None, None)


async def test_grace_ends_with_the_clock_also_after_further_rotations(scene: Scene) -> None:
    """Reuse of any older token is found, not only of the last but one."""
    sessions = scene.store.sessions
    await sessions.start(scene.anna, "phone", token("0"), START_MS + LIFE_MS)
    for i in range(4):
        scene.clock.now_ms += GRACE_MS
        result = await sessions.rotate(
            token(f"{i}"), token(f"{i + 1}"), "sealed", START_MS + LIFE_MS, GRACE_MS
        )
        assert result.verdict == "rotated"
    stolen = await sessions.rotate(token("1"), token("x"), "s", START_MS + LIFE_MS, GRACE_MS)
    assert stolen.verdict == "reused"


async def test_token_that_expired_or_never_was_is_unknown(scene: Scene) -> None:
    """At its last millisecond it is over."""
    sessions = scene.store.sessions
    await sessions.start(scene.anna, "phone", token("1"), START_MS + 5)
    scene.clock.now_ms += 5
    for name in ("1", "never"):
        result = await sessions.rotate(token(name), token("2"), "s", START_MS + 9, GRACE_MS)
        assert result == ("unknown", None, None)


async def test_logout_by_refresh_token_ends_its_session(scene: Scene) -> None:
    """Once; an unknown token ends nothing."""
    sessions = scene.store.sessions
    session = await sessions.start(scene.anna, "phone", token("1"), START_MS + LIFE_MS)
    ended = await sessions.end_by_refresh(token("1"))
    assert ended == session._replace(ended_ms=START_MS)
    assert await sessions.end_by_refresh(token("1")) is None
    assert await sessions.end_by_refresh(token("x")) is None


async def test_ticket_is_used_once_of_fifty_parallel_uses(scene: Scene) -> None:
    """One wins."""
    await scene.store.tickets.issue(token("t"), scene.anna, "s1", START_MS + 30_000)
    results = await asyncio.gather(*(scene.store.tickets.redeem([token("t")]) for _ in range(50)))
    assert sorted(results, key=lambda x: x[0] is None) == [
        [(scene.anna, "s1")],
        *[[None]] * 49,
    ]


async def test_tickets_of_one_call_are_judged_each(scene: Scene) -> None:
    """A double in the call, an unknown and an expired one come to nothing."""
    tickets = scene.store.tickets
    await tickets.issue(token("old"), scene.anna, "s1", START_MS + 10)
    await tickets.issue(token("new"), scene.bert, "s2", START_MS + 20)
    scene.clock.now_ms += 10
    asked = [token("old"), token("new"), token("new"), token("x")]
    assert await tickets.redeem(asked) == [None, (scene.bert, "s2"), None, None]


async def test_first_key_is_made_by_one_node(scene: Scene) -> None:
    """Later ones are added at will, newest first."""
    keys = scene.store.keys
    assert await keys.all() == []
    await asyncio.gather(*(keys.add(f"k{i}", b"der") for i in range(5)))
    (first,) = await keys.all()
    scene.clock.now_ms += 1
    await keys.add("next", b"\x00\xff", first=False)
    assert await keys.all() == [("next", b"\x00\xff", START_MS + 1), first]


async def test_ping_answers(scene: Scene) -> None:
    """A store that can write says nothing."""
    await scene.store.ping()


@pytest.mark.parametrize("names", [[], ["anna"]])
async def test_ensure_of_nothing_new_makes_nothing(scene: Scene, names: list[str]) -> None:
    """Repeating is free."""
    accounts = await scene.store.accounts.ensure(names)
    assert [account.id for account in accounts] == [scene.anna][: len(names)]
