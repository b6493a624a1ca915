"""Rates: exact at their bounds, with time as an argument."""

from hypothesis import given
from hypothesis import strategies as st

from chatrooms.domain.rate import FailureTable, Rate, RateTable


def test_burst_passes_and_the_next_one_waits() -> None:
    """Three at once, then one every half second."""
    table = RateTable(Rate(2.0, 3), 10)
    assert [table.spend("a", 5.0).remaining for _ in range(3)] == [2, 1, 0]
    refused = table.spend("a", 5.0)
    assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 0, 0.5)
    assert refused.reset == 1.5
    assert not table.spend("a", 5.49).allowed
    assert table.spend("a", 5.5).allowed
    assert not table.spend("a", 5.5).allowed


def test_keys_do_not_share_a_rate() -> None:
    """What one spends another keeps."""
    table = RateTable(Rate(1.0, 1), 10)
    assert table.spend("a", 0.0).allowed
    assert table.spend("b", 0.0).allowed
    assert not table.spend("a", 0.0).allowed


def test_memory_is_bounded_by_forgetting_the_least_recent() -> None:
    """A flood of keys costs the oldest ones their history, never memory."""
    table = RateTable(Rate(1.0, 1), 2)
    for key in ("a", "b"):
        table.spend(key, 0.0)
    assert not table.spend("a", 0.0).allowed
    table.spend("c", 0.0)
    assert len(table) == 2
    assert not table.spend("a", 0.0).allowed
    assert table.spend("b", 0.0).allowed


@given(
    per_second=st.floats(0.1, 1000.0),
    burst=st.integers(1, 100),
    steps=st.lists(st.floats(0.0, 10.0), max_size=200),
)
def test_no_stretch_of_time_holds_more_than_rate_and_burst(
    per_second: float, burst: int, steps: list[float]
) -> None:
    """Over any stretch: at most burst + rate * length; a refusal's wait is enough."""
    table = RateTable(Rate(per_second, burst), 1)
    now, passed = 0.0, []
    for step in steps:
        now += step / per_second
        spent = table.spend("a", now)
        if spent.allowed:
            passed.append(now)
        else:
            assert table.spend("a", now + spent.retry_after * (1 + 1e-6)).allowed
            passed.append(now + spent.retry_after)
            now = passed[-1]
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            allowance = burst + per_second * (passed[last] - begin)
            assert last - first + 1 <= allowance * (1 + 1e-6) + 1e-6


def test_failures_close_until_the_oldest_is_out_of_the_window() -> None:
    """A sliding window: one leaves, one fits."""
    table = FailureTable(2, 10.0, 5)
    table.fail("a", 0.0)
    assert table.closed_for("a", 4.0) is None
    table.fail("a", 4.0)
    assert table.closed_for("a", 5.0) == 5.0
    assert table.closed_for("b", 5.0) is None
    assert table.closed_for("a", 10.0) is None
    assert table.count("a", 10.0) == 1
    assert table.count("a", 14.0) == 0
    assert len(table) == 0


def test_failures_are_remembered_for_a_bounded_number_of_keys() -> None:
    """A flood of names forgets the one that failed least recently."""
    table = FailureTable(1, 10.0, 2)
    for key in ("a", "b", "c"):
        table.fail(key, 0.0)
    assert len(table) == 2
    assert table.closed_for("a", 1.0) is None
    assert table.closed_for("c", 1.0) is not None
