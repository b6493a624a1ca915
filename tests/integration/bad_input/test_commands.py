"""Bad commands: the code, the field and the id of each `err`, and what closes."""

import json

import pytest

from tests.integration.bad_input.command_table import (
    GOOD,
    GOOD_LINES,
    ROOM,
    ROWS,
    UNDECODABLE,
    Row,
)
from tests.integration.bad_input.scene import Scene
from tests.integration.bad_input.wire import MARKER, Raw, frame


def say(raw: Raw, scene: Scene, line: str) -> None:
    """One line as it is, the room filled in."""
    raw.send(frame(line.replace(ROOM, scene.room).encode("utf-8", "surrogatepass")))


def judge(raw: Raw, row: Row) -> None:
    """The next line is that `err`, and says nothing of what was sent."""
    err = raw.line()
    told = (err["t"], err["code"], err.get("field"), err.get("id"))
    assert told == ("err", row.code, row.field, row.id), err
    assert err["retry"] is False
    assert err["msg"]
    assert MARKER not in json.dumps({**err, "room": None})


@pytest.mark.parametrize("case", ROWS)
def test_bad_command_gets_its_err(scene: Scene, case: str) -> None:
    """With code, field and id; the connection goes on."""
    with scene.live() as raw:
        say(raw, scene, ROWS[case].line)
        judge(raw, ROWS[case])
        say(raw, scene, '{"t":"who","id":9,"room":"{room}"}')
        assert raw.line()["t"] == "ok"


@pytest.mark.parametrize("case", UNDECODABLE)
def test_undecodable_line_is_bad_request_and_the_third_closes_4002(scene: Scene, case: str) -> None:
    """Nothing of it is believed, its id neither."""
    row = UNDECODABLE[case]
    with scene.live() as raw:
        for _ in range(2):
            say(raw, scene, row.line)
            judge(raw, row)
        say(raw, scene, '{"t":"who","id":9,"room":"{room}"}')
        assert raw.line()["t"] == "ok"
        say(raw, scene, row.line)
        judge(raw, row)
        assert raw.close()[0] == 4002


@pytest.mark.parametrize("case", GOOD_LINES)
def test_line_at_its_bound_is_executed(scene: Scene, case: str) -> None:
    """The row beside it in the tables of what is refused is one too many."""
    with scene.live() as raw:
        say(raw, scene, GOOD_LINES[case])
        line = raw.line()
        assert line["t"] == "ok", line


def test_one_bad_line_stops_no_other(scene: Scene) -> None:
    """Each line of a message stands alone and is answered by itself, in order."""
    with scene.live() as raw:
        lines = ['{"t":"who","id":3,"room":"{room}"}', "", "nonsense", '{"t":"who","id":4}', "  "]
        say(raw, scene, "\n".join([*lines, '{"t":"who","id":5,"room":"{room}"}', ""]))
        told = sorted((raw.line() for _ in range(4)), key=lambda line: line.get("id", 0))
        assert [line["t"] for line in told] == ["err", "ok", "err", "ok"]


def test_same_cid_with_other_content_is_a_conflict(scene: Scene) -> None:
    """The same content in other words is a duplicate."""
    with scene.live() as raw:
        send = {"t": "send", "room": scene.room, "cid": "conflict"}
        first = raw.ask(**send, body={"text": "a", "x": [1, 2.5]})
        assert first["t"] == "ok"
        say(
            raw,
            scene,
            '{"t":"send","id":20,"room":"{room}","cid":"conflict",'
            '"body":{"x":[1,2.50],"text":"\\u0061"}}',
        )
        again = raw.reply(20)
        assert (again["seq"], again["dup"]) == (first["seq"], True)
        for body in ({"text": "b", "x": [1, 2.5]}, {"text": "a"}, {"text": "a", "x": [2.5, 1]}):
            raw._id += 20
            refused = raw.ask(**send, body=body)
            assert (refused["t"], refused["code"]) == ("err", "cid_conflict")


def test_strangers_learn_nothing_of_a_private_room(scene: Scene) -> None:
    """It is answered as a room that does not exist, in every op."""
    with scene.node.rest(scene.pair.tokens[0]) as rest:
        made = rest.post("/v1/rooms", json={"name": "Secret", "kind": "private"})
        private = made.raise_for_status().json()["id"]
    with scene.live() as raw:
        for t, fields in GOOD.items():
            if t == "unsub":
                continue
            told = []
            for room in (private, "no-such-room"):
                err = raw.ask(**{**fields, "t": t, "room": room})
                told.append({**err, "id": 0, "room": None})
            assert told[0] == told[1], t
            assert told[0]["code"] == "not_found"


def test_hundred_errs_close_4007(scene: Scene) -> None:
    """Ninety-nine do not."""
    with scene.live() as raw:
        numbers = [raw.say({"t": "nope"}) for _ in range(99)]
        assert [raw.reply(number)["code"] for number in numbers] == ["unknown_op"] * 99
        assert raw.ask(t="nope")["code"] == "unknown_op"
        assert raw.close()[0] == 4007
