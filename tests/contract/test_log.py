"""The Log port: order, dedupe, the commit feed, and reads."""

import asyncio
import json

import pytest

from chatrooms.domain.errors import Code
from chatrooms.domain.room import Kind, private_log
from chatrooms.ports.log import Anchor, Commit, Post, Stored
from tests.contract.scenes import NEWEST, START_MS, Scene, refused, stored


async def test_seq_rises_by_one_and_n_counts_messages_only(scene: Scene) -> None:
    """The room and member events take seqs but no n."""
    room = await scene.room()
    outcomes = [stored(outcome) for outcome in await scene.say(room, 3)]
    assert [(x.seq, x.n, x.ts_ms, x.dup) for x in outcomes] == [
        (3, 1, START_MS, False),
        (4, 2, START_MS, False),
        (5, 3, START_MS, False),
    ]


async def test_stored_line_is_the_message_in_order_of_the_protocol(scene: Scene) -> None:
    """One encoding serves live, resume and history; the body stays byte for byte."""
    room = await scene.room()
    body = '{"text":"a \\"b\\" é",  "x":1.0}'
    await scene.store.log.append([Post(room, scene.anna, "c1", body, 7, None)])
    (line,) = (await scene.store.log.page(room, NEWEST, 1)).lines
    assert line == (
        f'{{"t":"msg","room":"{room}","seq":3,"n":1,"from":"{scene.anna}","cid":"c1",'
        f'"ts":{START_MS},"body":{body},"thread":7}}'
    )


async def test_line_ends_between_tokens_do_not_break_the_line(scene: Scene) -> None:
    """A body sent over REST may be pretty-printed; an event is one line."""
    room = await scene.room()
    body = '{\r\n  "text": "a\\nb"\n}'
    await scene.store.log.append([Post(room, scene.anna, "c1", body, None, None)])
    (line,) = (await scene.store.log.page(room, NEWEST, 1)).lines
    assert json.loads(line)["body"] == {"text": "a\nb"}
    again = await scene.store.log.append([Post(room, scene.anna, "c1", body, None, None)])
    assert stored(again[0]).dup


async def test_calls_are_stored_in_the_order_they_were_made(scene: Scene) -> None:
    """Pipelined appends keep their order, also over the bound of one transaction."""
    room = await scene.room()
    calls = [
        scene.store.log.append([scene.post(room, scene.anna) for _ in range(300)]) for _ in range(4)
    ]
    results = await asyncio.gather(*calls)
    seqs = [stored(outcome).seq for outcomes in results for outcome in outcomes]
    assert seqs == list(range(3, 1203))


async def test_append_larger_than_a_transaction_is_stored_whole(scene: Scene) -> None:
    """1,300 posts and 3 MiB are cut into several commits, in order."""
    room = await scene.room()
    text = "x" * 3_000
    posts = [scene.post(room, scene.anna, text=text) for _ in range(1_300)]
    outcomes = await scene.store.log.append(posts)
    assert [stored(outcome).seq for outcome in outcomes] == list(range(3, 1303))
    assert all(len(commit.outcomes) <= 1_300 for commit in scene.commits)


async def test_nothing_to_append_answers_nothing(scene: Scene) -> None:
    """An empty call is no error."""
    assert await scene.store.log.append([]) == []


async def test_repeated_cid_answers_the_first_place(scene: Scene) -> None:
    """A retry, in the same call, the next call or later, is told the original."""
    room = await scene.room()
    post = scene.post(room, scene.anna, "once")
    first, second = await scene.store.log.append([post, post])
    scene.clock.now_ms += 86_400_000
    third = (await scene.store.log.append([post]))[0]
    assert stored(first) == Stored(3, 1, START_MS, dup=False)
    assert second == third == Stored(3, 1, START_MS, dup=True)
    assert await scene.head(room) == 3


async def test_cid_belongs_to_room_and_sender(scene: Scene) -> None:
    """The same cid of another person or in another room is another message."""
    one, two = await scene.room(scene.bert), await scene.room()
    posts = [
        scene.post(one, scene.anna, "same"),
        scene.post(one, scene.bert, "same"),
        scene.post(two, scene.anna, "same"),
    ]
    outcomes = await scene.store.log.append(posts)
    assert [stored(outcome).dup for outcome in outcomes] == [False, False, False]


@pytest.mark.parametrize(
    ("body", "thread", "same"),
    [
        ('{ "b" : [1.0, true] ,"a": "\\u00e9" }', None, True),
        ('{"a":"é","b":[1,true]}', None, True),
        ('{"a":"é","b":[1,1]}', None, False),
        ('{"a":"é","b":[true,true]}', None, False),
        ('{"a":"é","b":[1,true],"c":null}', None, False),
        ('{"a":"e","b":[1,true]}', None, False),
        ('{"a":"é","b":[true,1]}', None, False),
        ('{"a":"é","b":[1,true]}', 3, False),
    ],
)
async def test_cid_with_other_content_conflicts(
    scene: Scene, body: str, thread: int | None, *, same: bool
) -> None:
    """Content is thread and body as JSON value: 1 is 1.0, true is not 1, order of keys is not."""
    room = await scene.room()
    await scene.store.log.append(
        [Post(room, scene.anna, "c", '{"a":"é","b":[1,true]}', None, None)]
    )
    (outcome,) = await scene.store.log.append([Post(room, scene.anna, "c", body, thread, None)])
    if same:
        assert stored(outcome).dup
    else:
        assert refused(outcome) is Code.CID_CONFLICT
    assert await scene.head(room) == 3


async def test_refusals_store_nothing_and_disturb_no_neighbour(scene: Scene) -> None:
    """Rooms are judged inside the transaction, each post for itself."""
    public, private = await scene.room(scene.carl), await scene.room(kind=Kind.PRIVATE)
    await scene.store.rooms.ban(scene.anna, public, scene.carl)
    posts = [
        scene.post(public, scene.anna),
        scene.post(public, scene.bert),
        scene.post(public, scene.carl),
        scene.post(private, scene.bert),
        scene.post("nowhere", scene.bert),
        scene.post(private_log(scene.anna), scene.anna),
        scene.post(public, scene.anna),
    ]
    head = await scene.head(public)
    outcomes = await scene.store.log.append(posts)
    assert [stored(outcomes[0]).seq, stored(outcomes[6]).seq] == [head + 1, head + 2]
    assert [refused(outcome) for outcome in outcomes[1:6]] == [
        Code.NOT_MEMBER,
        Code.BANNED,
        Code.NOT_FOUND,
        Code.NOT_FOUND,
        Code.FORBIDDEN,
    ]
    assert await scene.head(private) == 2


async def test_invited_stranger_is_told_to_join_first(scene: Scene) -> None:
    """An invitation shows a private room, so it need not hide."""
    room = await scene.room(kind=Kind.PRIVATE)
    await scene.store.rooms.invite(scene.anna, room, scene.bert)
    (outcome,) = await scene.store.log.append([scene.post(room, scene.bert)])
    assert refused(outcome) is Code.NOT_MEMBER


async def test_membership_is_judged_before_the_cid(scene: Scene) -> None:
    """Who was put out learns that, not the place of an old message."""
    room = await scene.room(scene.bert)
    post = scene.post(room, scene.bert)
    await scene.store.log.append([post])
    await scene.store.rooms.kick(scene.anna, room, scene.bert)
    assert refused((await scene.store.log.append([post]))[0]) is Code.NOT_MEMBER


async def test_row_that_cannot_be_stored_fails_alone(scene: Scene) -> None:
    """A lone surrogate that slipped through spoils neither its room nor its batch."""
    one, two = await scene.room(), await scene.room()
    posts = [
        scene.post(one, scene.anna),
        scene.post(one, scene.anna, text="\ud800"),
        scene.post(one, scene.anna),
        scene.post(two, scene.anna),
    ]
    outcomes = await scene.store.log.append(posts)
    assert refused(outcomes[1]) is Code.INTERNAL
    assert [stored(outcomes[i]).seq for i in (0, 2, 3)] == [3, 4, 3]
    assert await scene.lines(one) == scene.told(one)


async def test_every_commit_is_told_once_in_order_before_its_caller(scene: Scene) -> None:
    """What the listener hears of a room is the log; outcomes come with their posts."""
    room = await scene.room()
    heard: list[Commit] = []
    scene.store.log.on_commit(heard.append)
    posts = [Post(room, scene.anna, f"c{i}", "{}", None, ("tag", i)) for i in range(30)]
    for start in range(0, 30, 10):
        outcomes = await scene.store.log.append(posts[start : start + 10])
        told = [pair for commit in heard for pair in commit.outcomes]
        assert told[start:] == list(zip(posts[start:], outcomes, strict=False))
    assert [post.tag for commit in heard for post, _ in commit.outcomes] == [
        ("tag", i) for i in range(30)
    ]
    events = [event for commit in heard for run in commit.runs for event in run.events]
    assert [event.seq for event in events] == list(range(3, 33))
    assert [event.line for event in events] == (await scene.lines(room))[2:]
    assert [event.n for event in events] == list(range(1, 31))


async def test_commit_holds_one_run_a_room(scene: Scene) -> None:
    """Interleaved posts come out as one run for each room, seq rising by one."""
    rooms = [await scene.room() for _ in range(3)]
    scene.commits.clear()
    posts = [scene.post(rooms[i % 3], scene.anna) for i in range(9)]
    await scene.store.log.append(posts)
    (commit,) = scene.commits
    assert [run.room for run in commit.runs] == rooms
    assert [[event.seq for event in run.events] for run in commit.runs] == [[3, 4, 5]] * 3


async def test_repeat_is_told_with_its_commit_and_writes_nothing(scene: Scene) -> None:
    """A dup reaches the listener as an outcome without a run."""
    room = await scene.room()
    post = scene.post(room, scene.anna)
    await scene.store.log.append([post])
    scene.commits.clear()
    (outcome,) = await scene.store.log.append([post])
    (commit,) = scene.commits
    assert commit.runs == ()
    assert commit.outcomes == ((post, outcome),)


async def test_parallel_writers_leave_no_gap(scene: Scene) -> None:
    """40 tasks, 4 rooms, joins between: the log of each room is 1..head, told as stored."""
    rooms = [await scene.room(scene.bert) for _ in range(4)]
    scene.commits.clear()

    async def work(i: int) -> None:
        room = rooms[i % 4]
        await scene.store.log.append([scene.post(room, scene.bert) for _ in range(5)])
        if i % 10 == 0:
            await scene.store.rooms.join(scene.carl, room)

    await asyncio.gather(*(work(i) for i in range(40)))
    for room in rooms:
        lines = await scene.lines(room)
        assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
        assert scene.told(room) == lines[3:]


@pytest.mark.parametrize(
    ("anchor", "limit", "seqs", "more"),
    [
        (Anchor("newest"), 4, [17, 18, 19, 20], True),
        (Anchor("newest"), 20, list(range(1, 21)), False),
        (Anchor("newest"), 100, list(range(1, 21)), False),
        (Anchor("before", 5), 3, [2, 3, 4], True),
        (Anchor("before", 4), 3, [1, 2, 3], False),
        (Anchor("before", 1), 3, [], False),
        (Anchor("before", 0), 3, [], False),
        (Anchor("before", 99), 2, [19, 20], True),
        (Anchor("after", 0), 2, [1, 2], True),
        (Anchor("after", 17), 3, [18, 19, 20], False),
        (Anchor("after", 20), 3, [], False),
        (Anchor("after", 99), 3, [], False),
        (Anchor("around", 10), 5, [8, 9, 10, 11, 12], True),
        (Anchor("around", 10), 4, [8, 9, 10, 11], True),
        (Anchor("around", 1), 4, [1, 2, 3, 4], True),
        (Anchor("around", 20), 4, [17, 18, 19, 20], False),
        (Anchor("around", 99), 4, [17, 18, 19, 20], False),
        (Anchor("around", 7), 1, [7], True),
    ],
)
async def test_page_holds_what_its_anchor_means(
    scene: Scene, anchor: Anchor, limit: int, seqs: list[int], *, more: bool
) -> None:
    """Ascending; before and after exclude, around includes; more looks in the direction asked."""
    room = await scene.room()
    await scene.say(room, 18)
    page = await scene.store.log.page(room, anchor, limit)
    assert [json.loads(line)["seq"] for line in page.lines] == seqs
    assert (page.first, page.last, page.more) == (1, 20, more)
    assert page.epoch == scene.store.log.epoch


@pytest.mark.parametrize(
    ("anchor", "seqs", "more"),
    [
        (Anchor("newest"), [9, 10], True),
        (Anchor("before", 9), [7, 8], True),
        (Anchor("after", 2), [3, 4], True),
        (Anchor("around", 6), [5, 6], True),
    ],
)
async def test_page_over_its_bytes_keeps_what_is_near_the_anchor(
    scene: Scene, anchor: Anchor, seqs: list[int], *, more: bool
) -> None:
    """Big bodies make a page shorter, and the next page joins on; one event always comes."""
    room = await scene.room()
    posts = [scene.post(room, scene.anna, text="é" * 1_000) for _ in range(8)]
    await scene.store.log.append(posts)
    page = await scene.store.log.page(room, anchor, 4, 5_000)
    assert [json.loads(line)["seq"] for line in page.lines] == seqs
    assert page.more is more
    single = await scene.store.log.page(room, anchor, 4, 1)
    assert [json.loads(line)["seq"] for line in single.lines] == [
        {"newest": 10, "before": 8, "after": 3, "around": 6}[anchor.kind]
    ]


async def test_page_of_an_unknown_room_is_empty(scene: Scene) -> None:
    """Nobody learns more than that."""
    page = await scene.store.log.page("nowhere", NEWEST, 10)
    assert page == (scene.store.log.epoch, [], 0, 0, False)


async def test_read_after_an_append_contains_it(scene: Scene) -> None:
    """Read your own write, fifty times on whatever thread reads."""
    room = await scene.room()
    for _ in range(50):
        (outcome,) = await scene.say(room)
        assert await scene.head(room) == stored(outcome).seq


async def test_since_gives_exactly_what_was_missed(scene: Scene) -> None:
    """Many rooms in one call, the private log too; nothing missed is an empty list."""
    one, two = await scene.room(), await scene.room()
    await scene.say(one, 5)
    wants = [(one, 3, 6), (two, 0, 2), (private_log(scene.anna), 0, 2), (one, 7, 7)]
    missed = await scene.store.log.since(wants, 300, 262_144)
    assert missed[0] == (await scene.lines(one))[3:6]
    assert missed[1] == await scene.lines(two)
    assert [json.loads(line)["of"] for line in missed[2] or []] == [one, two]
    assert missed[3] == []


async def test_since_gives_none_for_what_is_too_much(scene: Scene) -> None:
    """Both limits are inclusive, in events and in bytes of UTF-8, each want for itself."""
    room = await scene.room()
    posts = [scene.post(room, scene.anna, text="é" * 100) for _ in range(4)]
    await scene.store.log.append(posts)
    size = sum(len(line.encode()) for line in (await scene.lines(room))[2:])
    log = scene.store.log
    assert [x and len(x) for x in await log.since([(room, 2, 6), (room, 1, 6)], 4, 10**6)] == [
        4,
        None,
    ]
    assert [x and len(x) for x in await log.since([(room, 2, 6)], 4, size)] == [4]
    assert await log.since([(room, 2, 6), (room, 5, 5)], 4, size - 1) == [None, []]


async def test_changed_since_names_each_log_that_grew(scene: Scene) -> None:
    """The cursor moves in row order; nothing new, nothing named."""
    one, two = await scene.room(), await scene.room()
    heads, cursor = await scene.store.log.changed_since(0)
    assert dict(heads) == {one: 2, two: 2, private_log(scene.anna): 2}
    assert await scene.store.log.changed_since(cursor) == ([], cursor)
    await scene.say(two, 3)
    assert (await scene.store.log.changed_since(cursor))[0] == [(two, 5)]


async def test_walk_finds_a_whole_log_in_order(scene: Scene) -> None:
    """Every log is counted, private ones too, and has no problem."""
    room = await scene.room(scene.bert)
    await scene.say(room, 3)
    found = {
        name: (head, count, distinct, problems)
        async for name, head, count, distinct, problems in scene.store.log.walk()
    }
    assert found[room] == (6, 6, 6, [])
    assert found[private_log(scene.bert)] == (1, 1, 1, [])
    assert all(not problems for *_, problems in found.values())
