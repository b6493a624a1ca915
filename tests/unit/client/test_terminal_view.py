"""How each event looks, and that no text can steer the terminal."""

import pytest

from chatrooms.client.events import (
    EpochChanged,
    Event,
    Gap,
    Invite,
    MemberEvent,
    Mention,
    Message,
    Notice,
    Offline,
    Receipt,
    RoomEvent,
)
from chatrooms.client.terminal_view import clean, color, plain, show, status

NAMES = {"u1": "Ann", "u2": "Bob"}


def message(text: str, **more: bool | int) -> Message:
    """A message of Bob."""
    body = {} if more.get("deleted") else {"text": text}
    return Message("r", 1, 1, "u2", "c", 0, body, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (message("hi"), "Bob: hi"),
        (message("hi", edited=4), "Bob: hi (edited)"),
        (message("", deleted=True), "Bob: (deleted)"),
        (message("/me waves"), "* Bob waves"),
        (Message("r", 1, 1, "u9", "c", 0, {"poll": 1}), "u9: (poll)"),
        (MemberEvent("r", 1, 0, "u1", ("u2",), "ban"), "Bob was banned"),
        (MemberEvent("r", 1, 0, "u1", ("u2",), "role", "owner"), "Bob is now owner"),
        (
            MemberEvent("r", 1, 0, "u1", ("u1", "u2", "u3", "u4", "u5"), "join"),
            "Ann, Bob, u3 and 2 others joined",
        ),
        (RoomEvent("r", 1, 0, "u1", "update", "Den"), "now called Den"),
        (Gap("r", 1, 3), "3 events before this"),
        (EpochChanged("r", "e", 1), "restored"),
        (Mention("me", 1, "den", 7), "mentioned in den"),
        (Invite("me", 1, "den", "u2"), "Bob invites you: chatrooms chat den"),
        (Offline("gone", 1_500), "offline (gone); trying again in 1.5 s"),
        (Notice("drain"), "restarting"),
    ],
)
def test_event_has_its_line(event: Event, text: str) -> None:
    """Names instead of ids, plain words."""
    assert text in plain(show(event, NAMES, "u1") or [])


@pytest.mark.parametrize(
    "event", [Receipt("r", "u1", 1), Notice("other"), RoomEvent("r", 1, 0, "u1", "create", "Den")]
)
def test_event_without_a_line_is_left_out(event: Event) -> None:
    """Not everything that happens is worth a line."""
    assert show(event, NAMES, "u1") is None


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b31m", "\u202e", "\x07", "\r", "\u2066"])
def test_text_cannot_steer_the_terminal(evil: str) -> None:
    """Escape sequences, bells and direction overrides are dropped, the rest stays."""
    line = plain(show(message(f"a{evil}b"), {"u2": f"B{evil}ob"}, "u1") or [])
    assert not any(character in line for character in "\x1b\x9b\u202e\x07\r\u2066")
    assert clean(f"a\n\t{evil[0]}b") == "a\n\tb"


def test_own_name_stands_out_and_colors_are_stable() -> None:
    """The same colour for a name on every screen; bold for one's own."""
    own = show(message("hi"), NAMES, "u2") or []
    other = show(message("hi"), NAMES, "u1") or []
    assert own[1][0] == f"bold {other[1][0]}"
    assert color("Bob") == other[1][0]


def test_status_line_says_what_matters() -> None:
    """Room, who is there, who types, what waits."""
    line = status("lobby", online=True, count=3, unsent=0, typing=["Bob"], user="Ann")
    assert plain(line) == " lobby · 3 online · you are Ann · Bob is typing …"
    line = status("lobby", online=False, count=3, unsent=2, typing=list("abcd"), user="Ann")
    assert plain(line) == (
        " lobby · offline, reconnecting · 2 waiting to be sent · a, b, c and others are typing …"
    )
