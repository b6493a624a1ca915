"""The table of who may do what: every cell is checked against the rules in words."""

import itertools

import pytest

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.membership import Seat, refuse_action, refuse_entry, refuse_outsider, shown
from chatrooms.domain.permissions import TABLE, Operation, Target, allowed, exists_in
from chatrooms.domain.room import Kind, Role

TARGETS: tuple[Target, ...] = (*Role, None)
ON_PEOPLE = {Operation.KICK, Operation.BAN, Operation.SET_ROLE}


def in_words(actor: Role, operation: Operation, target: Target) -> bool:
    """The rules as sentences, independent of the table."""
    if operation in {Operation.POST, Operation.READ, Operation.INVITE}:
        return target is None
    if operation in {Operation.UNBAN, Operation.UPDATE_ROOM}:
        return target is None and actor is not Role.MEMBER
    if operation is Operation.BAN and target is None:
        return actor is not Role.MEMBER
    if target is None or actor is Role.MEMBER:
        return False
    if actor is Role.OWNER:
        return True
    return operation is not Operation.SET_ROLE and target.rank < actor.rank


@pytest.mark.parametrize(
    ("actor", "operation", "target"), list(itertools.product(Role, Operation, TARGETS))
)
def test_table_says_what_the_rules_say(actor: Role, operation: Operation, target: Target) -> None:
    """Three roles, eight operations, four targets."""
    assert allowed(actor, operation, target) is in_words(actor, operation, target)


def test_table_has_a_row_for_every_operation_and_role() -> None:
    """A new operation without a row fails here, not in production."""
    assert {operation: set(row) for operation, row in TABLE.items()} == {
        operation: set(Role) for operation in Operation
    }


@pytest.mark.parametrize("operation", [Operation.KICK, Operation.BAN, Operation.SET_ROLE])
def test_nobody_but_an_owner_acts_on_an_equal_or_stronger_one(operation: Operation) -> None:
    """The rule that the table must never break."""
    for actor, target in itertools.product(Role, Role):
        if target.rank >= actor.rank and actor is not Role.OWNER:
            assert not allowed(actor, operation, target)


def test_direct_room_knows_only_posting_and_reading() -> None:
    """Whatever the role."""
    known = {operation for operation in Operation if exists_in(Kind.DIRECT, operation)}
    assert known == {Operation.POST, Operation.READ}
    seat = Seat(Role.OWNER)
    assert refuse_action(Kind.DIRECT, seat, Operation.POST) is None
    why = refuse_action(Kind.DIRECT, seat, Operation.KICK, Role.MEMBER)
    assert why is not None
    assert why.code is Code.FORBIDDEN


MEMBER, INVITED, BANNED, STRANGER = Seat(Role.MEMBER), Seat(invited=True), Seat(banned=True), Seat()


def code(why: Refusal | None) -> Code | None:
    """The code of a refusal."""
    return None if why is None else why.code


@pytest.mark.parametrize(
    ("kind", "seat", "acting", "entering"),
    [
        (None, STRANGER, Code.NOT_FOUND, Code.NOT_FOUND),
        (Kind.PUBLIC, MEMBER, None, None),
        (Kind.PUBLIC, STRANGER, Code.NOT_MEMBER, None),
        (Kind.PUBLIC, BANNED, Code.BANNED, Code.BANNED),
        (Kind.PRIVATE, MEMBER, None, None),
        (Kind.PRIVATE, STRANGER, Code.NOT_FOUND, Code.NOT_FOUND),
        (Kind.PRIVATE, INVITED, Code.NOT_MEMBER, None),
        (Kind.PRIVATE, BANNED, Code.BANNED, Code.BANNED),
        (Kind.DIRECT, STRANGER, Code.NOT_FOUND, Code.NOT_FOUND),
        (Kind.DIRECT, MEMBER, None, None),
    ],
)
def test_outsiders_are_told_no_more_than_they_may_know(
    kind: Kind | None, seat: Seat, acting: Code | None, entering: Code | None
) -> None:
    """A private room hides from strangers, whatever they try."""
    assert code(refuse_outsider(kind, seat)) is acting
    assert code(refuse_entry(kind, seat)) is entering
    if kind is not None:
        assert shown(kind, seat) is (acting is not Code.NOT_FOUND)
