"""Names and passwords: what is accepted, what is refused, and how it is stored."""

import pytest

from chatrooms.domain import names
from chatrooms.domain.common_passwords import COMMON_PASSWORDS
from chatrooms.domain.errors import Code, Refusal


@pytest.mark.parametrize(
    ("given", "stored"),
    [("anna", "anna"), ("ANNA.B-c_9", "anna.b-c_9"), ("abc", "abc"), ("a" * 32, "a" * 32)],
)
def test_username_is_case_folded(given: str, stored: str) -> None:
    """One spelling is kept."""
    assert names.username(given) == stored


@pytest.mark.parametrize(
    "given",
    ["", "ab", "a" * 33, "an na", "änna", "anna\n", "anna\x00", "a/b/c", "me:x", "\u0430nna"],
)
def test_username_of_other_characters_is_refused(given: str) -> None:
    """Only a-z 0-9 . _ - and 3 to 32 of them."""
    with pytest.raises(Refusal) as refusal:
        names.username(given)
    assert (refusal.value.code, refusal.value.field) == (Code.INVALID, "username")


@pytest.mark.parametrize(
    "given", ["Änne Özdemir", "李小龍", "👩\u200d👩\u200d👧", "a", "x" * 64, "مرحبا"]
)
def test_display_name_may_be_of_any_script(given: str) -> None:
    """Kept as it is."""
    assert names.display_name(given) == given


def test_outer_blanks_of_a_name_go() -> None:
    """Inner ones stay."""
    assert names.room_name("  Tea  room ") == "Tea  room"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "   ",
        "x" * 65,
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\x85b",
        "a\u202eb",
        "a\u2066b",
        "a\u200fb",
        "a\u061cb",
        "a\u2028b",
        "\ud800",
        "\u200b",
        "\u2060\u200d",
    ],
)
def test_display_name_that_could_mislead_is_refused(given: str) -> None:
    """Controls, bidi overrides, line separators, lone surrogates, and nothing visible."""
    with pytest.raises(Refusal) as refusal:
        names.display_name(given)
    assert (refusal.value.code, refusal.value.field) == (Code.INVALID, "display_name")


def test_room_name_is_80_code_points_at_most() -> None:
    """Code points, not bytes."""
    assert names.room_name("é" * 80) == "é" * 80
    with pytest.raises(Refusal) as refusal:
        names.room_name("é" * 81)
    assert refusal.value.field == "name"


@pytest.mark.parametrize("given", ["correct horse", "ünïcödé!", "a1b2c3d4e5f6", "x" * 120 + "yz"])
def test_password_of_some_length_is_kept_untouched(given: str) -> None:
    """No truncation, no rules about kinds of characters."""
    assert names.password(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short 7",
        "x1" * 65,
        "password",
        "PassWord1",
        "qwertyuiop",
        "12345678",
        "aaaaaaaaaaaa",
        "abababababab",
        "anna.smith",
        "Anna.Smith",
        "abcdefg\ud800",
    ],
)
def test_password_that_is_easy_to_guess_is_refused(given: str) -> None:
    """Short, long, common in any case, two characters over and over, the username."""
    with pytest.raises(Refusal) as refusal:
        names.password(given, "anna.smith")
    assert (refusal.value.code, refusal.value.field) == (Code.INVALID, "password")


def test_common_passwords_are_long_enough_to_matter() -> None:
    """Shorter ones are refused anyway; each is spelled as it is compared."""
    assert len(COMMON_PASSWORDS) > 300
    assert [x for x in COMMON_PASSWORDS if len(x) < 8 or x != x.casefold()] == []
