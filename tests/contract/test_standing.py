"""The Positions and Marks ports."""

from chatrooms.domain.errors import Code
from chatrooms.domain.room import Kind, private_log
from chatrooms.ports.marks import Mark
from chatrooms.ports.positions import Standing
from tests.contract.scenes import Scene, refused


async def test_look_tells_where_each_asker_stands(scene: Scene) -> None:
    """Member, stranger, banned, invited; answers in the order asked, doubles too."""
    public, private = await scene.room(scene.bert), await scene.room(kind=Kind.PRIVATE)
    await scene.say(public, 2)
    await scene.store.marks.advance([(scene.bert, public, 1)])
    await scene.store.rooms.ban(scene.anna, public, scene.carl)
    await scene.store.rooms.invite(scene.anna, private, scene.carl)
    asks = [
        (scene.bert, public),
        (scene.carl, public),
        (scene.bert, private),
        (scene.carl, private),
        (scene.bert, "nowhere"),
        (scene.bert, public),
    ]
    answers = await scene.store.positions.look(asks)
    assert answers == [
        Standing(6, 2, "member", 1, banned=False, known=True),
        Standing(6, 2, None, 0, banned=True, known=True),
        Standing(3, 0, None, 0, banned=False, known=False),
        Standing(3, 0, None, 0, banned=False, known=True),
        Standing(0, 0, None, 0, banned=False, known=False),
        answers[0],
    ]


async def test_private_log_is_known_to_its_own_user_only(scene: Scene) -> None:
    """Owner of one's own, also before anything is in it; others see nothing."""
    await scene.room()
    asks = [
        (scene.anna, private_log(scene.anna)),
        (scene.bert, private_log(scene.bert)),
        (scene.bert, private_log(scene.anna)),
    ]
    assert await scene.store.positions.look(asks) == [
        Standing(1, 0, "owner", 0, banned=False, known=True),
        Standing(0, 0, "owner", 0, banned=False, known=True),
        Standing(0, 0, None, 0, banned=False, known=False),
    ]


async def test_direct_room_is_known_to_its_pair_only(scene: Scene) -> None:
    """It hides from the third."""
    view, _ = await scene.store.rooms.direct(scene.anna, scene.bert)
    asks = [(scene.bert, view.room.id), (scene.carl, view.room.id)]
    bert, carl = await scene.store.positions.look(asks)
    assert (bert.role, bert.known) == ("owner", True)
    assert (carl.role, carl.known) == (None, False)


async def test_nothing_asked_is_nothing_answered(scene: Scene) -> None:
    """An empty batch is fine everywhere."""
    assert await scene.store.positions.look([]) == []
    assert await scene.store.marks.advance([]) == []
    assert await scene.store.log.since([], 300, 1) == []
    assert await scene.store.sessions.alive([]) == []


async def test_mark_only_grows(scene: Scene) -> None:
    """The answer is the mark now; an older value moves nothing."""
    room = await scene.room(scene.bert)
    await scene.say(room, 5)
    advance = scene.store.marks.advance
    assert await advance([(scene.bert, room, 3)]) == [Mark(3, 5, moved=True)]
    assert await advance([(scene.bert, room, 2)]) == [Mark(3, 5, moved=False)]
    assert await advance([(scene.bert, room, 3)]) == [Mark(3, 5, moved=False)]
    (standing,) = await scene.store.positions.look([(scene.bert, room)])
    assert standing.read == 3


async def test_marks_of_one_batch_are_coalesced_and_answered_each(scene: Scene) -> None:
    """The largest value per user and room is what stays."""
    room = await scene.room(scene.bert)
    await scene.say(room, 5)
    asks = [(scene.bert, room, 2), (scene.anna, room, 1), (scene.bert, room, 5)]
    asks += [(scene.bert, room, 4)]
    scene.commits.clear()
    assert await scene.store.marks.advance(asks) == [
        Mark(2, 5, moved=True),
        Mark(1, 5, moved=True),
        Mark(5, 5, moved=True),
        Mark(5, 5, moved=False),
    ]
    assert len(scene.commits) == 1
    assert not scene.commits[0].runs
    bert, anna = await scene.store.positions.look([(scene.bert, room), (scene.anna, room)])
    assert (bert.read, anna.read) == (5, 1)


async def test_marks_that_may_not_be_are_refused_each_for_itself(scene: Scene) -> None:
    """Past the end, a stranger, a banned one, no room, a private log."""
    public, private = await scene.room(), await scene.room(kind=Kind.PRIVATE)
    await scene.say(public, 2)
    await scene.store.rooms.ban(scene.anna, public, scene.carl)
    answers = await scene.store.marks.advance(
        [
            (scene.anna, public, 3),
            (scene.bert, public, 1),
            (scene.carl, public, 1),
            (scene.bert, private, 0),
            (scene.bert, "nowhere", 0),
            (scene.anna, private_log(scene.anna), 0),
            (scene.anna, public, 2),
        ]
    )
    assert [refused(answer) for answer in answers[:6]] == [
        Code.OUT_OF_RANGE,
        Code.NOT_MEMBER,
        Code.BANNED,
        Code.NOT_FOUND,
        Code.NOT_FOUND,
        Code.NOT_FOUND,
    ]
    assert answers[6] == Mark(2, 2, moved=True)
