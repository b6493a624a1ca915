"""Ids, pages, contents and encodings."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrooms.domain.content import Json, compare, same_value
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.event import (
    Action,
    MemberChange,
    encode_member,
    encode_message,
    encode_private,
    encode_room,
)
from chatrooms.domain.ids import RANDOM_BYTES, sortable_id
from chatrooms.domain.page import Window, fit, more, window
from chatrooms.domain.room import ROOM_ID, log_room, private_log

times = st.integers(0, (1 << 44) - 1)
entropy = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
documents: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(times, times, entropy, entropy)
def test_ids_sort_by_time(one: int, two: int, first: bytes, second: bytes) -> None:
    """20 characters that a URL and a room id allow."""
    ids = sortable_id(one, first), sortable_id(two, second)
    assert all(re.fullmatch(r"[0-9a-z]{20}", each) and ROOM_ID.fullmatch(each) for each in ids)
    assert (ids[0] < ids[1]) is ((one, first) < (two, second))


@given(st.integers(0, 60), st.integers(-3, 70), st.integers(1, 100))
@pytest.mark.parametrize("kind", ["newest", "before", "after", "around"])
def test_window_lies_in_the_log_and_holds_its_limit(
    kind: str, head: int, seq: int, limit: int
) -> None:
    """For any head, anchor and limit."""
    low, high = window(kind, seq, limit, head)
    assert high <= head
    assert low >= 1
    assert high >= 0
    assert high - low + 1 <= limit
    if kind == "around":
        assert high - low + 1 == min(limit, head)
        assert low <= seq <= high or not 1 <= seq <= head
    if kind == "newest":
        assert (high, high - low + 1) == (head, min(limit, head))


@given(
    st.sampled_from(["newest", "before", "after", "around"]),
    st.integers(1, 40),
    st.lists(st.integers(1, 50), min_size=1, max_size=40),
    st.integers(1, 400),
)
def test_fit_keeps_a_part_within_the_bytes(
    kind: str, seq: int, sizes: list[int], bytes_max: int
) -> None:
    """Next to the anchor, as long as possible, never empty."""
    span = Window(1, len(sizes))
    low, high = fit(kind, seq, span, sizes, bytes_max)
    assert span.low <= low <= high <= span.high
    assert sum(sizes[low - 1 : high]) <= bytes_max or low == high
    if kind == "after":
        assert low == 1
    if kind in {"newest", "before"}:
        assert high == len(sizes)
    if kind == "around" and seq <= len(sizes):
        assert low <= seq <= high


@pytest.mark.parametrize(
    ("kind", "span", "head", "follows"),
    [
        ("newest", Window(2, 5), 5, True),
        ("newest", Window(1, 5), 5, False),
        ("newest", Window(1, 0), 0, False),
        ("after", Window(2, 5), 6, True),
        ("around", Window(2, 6), 6, False),
    ],
)
def test_more_looks_in_the_direction_asked(
    kind: str, span: Window, head: int, *, follows: bool
) -> None:
    """Newer for after and around, older else."""
    assert more(kind, span, head) is follows


@given(documents)
def test_value_equals_itself_written_differently(value: Json) -> None:
    """Blanks, escapes and the order of keys are no content."""
    spelled = json.dumps(value, indent=1, ensure_ascii=True, sort_keys=True)
    assert same_value(value, json.loads(spelled))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1.0", True),
        ("100", "1e2", True),
        ("1", "true", False),
        ("0", "false", False),
        ("[1]", "[true]", False),
        ('{"a":0}', '{"a":false}', False),
        ("null", "0", False),
        ('""', "null", False),
        ("[]", "{}", False),
        ("[1,2]", "[2,1]", False),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('{"a":1}', '{"a":1,"b":null}', False),
        ('"\\u0061"', '"a"', True),
        ("9007199254740993", "9007199254740992", False),
    ],
)
def test_values_are_compared_as_json(one: str, other: str, *, same: bool) -> None:
    """Both ways round."""
    assert same_value(json.loads(one), json.loads(other)) is same
    assert same_value(json.loads(other), json.loads(one)) is same


def test_stored_line_tells_what_was_first_sent() -> None:
    """Place and time come from the line itself."""
    line = encode_message("r", 7, 4, "u", 'c"\\', 99, '{"text":"x"}', 3)
    assert compare(line, 3, '{ "text": "x" }') == (7, 4, 99, True)
    assert not compare(line, None, '{"text":"x"}').same
    assert not compare(line, 3, '{"text":"y"}').same
    assert json.loads(line)["cid"] == 'c"\\'


def test_line_of_another_op_is_other_content() -> None:
    """One namespace of cids over all ops that write."""
    line = '{"t":"edit","room":"r","seq":7,"ts":9,"cid":"c","body":{"text":"x"}}'
    assert compare(line, None, '{"text":"x"}') == (7, 0, 9, False)


def test_durable_lines_are_those_of_the_protocol() -> None:
    """Field for field; names with quotes stay JSON."""
    one = MemberChange(Action.BAN, ("u",))
    many = MemberChange(Action.JOIN, ("u", "v"), "member")
    assert json.loads(encode_member("r", 2, 9, "a", one)) == {
        "t": "member",
        "room": "r",
        "seq": 2,
        "ts": 9,
        "from": "a",
        "action": "ban",
        "user": "u",
    }
    assert json.loads(encode_member("r", 2, 9, "a", many))["users"] == ["u", "v"]
    made = json.loads(encode_room("r", 1, 9, "a", "create", 'T"ea', "public"))
    assert (made["name"], made["kind"], made["action"]) == ('T"ea', "public", "create")
    note = json.loads(encode_private(3, 9, "invite", {"of": "r", "from": "a"}))
    assert note == {"t": "invite", "room": "me", "seq": 3, "ts": 9, "of": "r", "from": "a"}


def test_me_means_ones_own_log() -> None:
    """Every other name means itself."""
    assert log_room("me", "u") == private_log("u") == "me:u"
    assert log_room("lobby", "u") == "lobby"


def test_refusal_speaks_also_without_a_sentence() -> None:
    """Status and retry follow from the code."""
    refusal = Refusal(Code.SLOW_MODE, retry_after_ms=5)
    assert str(refusal) == "slow mode"
    assert (refusal.code.status, refusal.code.retry, refusal.retry_after_ms) == (429, True, 5)
    assert {code.status for code in Code} <= set(range(400, 505))
