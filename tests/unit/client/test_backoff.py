"""After each kind of end the client does what the close-code families say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrooms.client.backoff import (
    BASE_MS,
    CAP_MS,
    Circumstances,
    Closing,
    Retry,
    Stop,
    full_jitter_ms,
    judge,
)
from chatrooms.client.cid import CidSource
from chatrooms.client.errors import ChatError

FRESH = Circumstances(attempt=0, greeted=True)


@given(attempt=st.integers(0, 10_000), fraction=st.floats(0, 1, exclude_max=True))
def test_jitter_stays_below_the_doubling_ceiling(attempt: int, fraction: float) -> None:
    """Full jitter: anywhere from nothing to base x 2^attempt, never above 30 s."""
    pause_ms = full_jitter_ms(attempt, fraction)
    assert 0 <= pause_ms <= min(CAP_MS, BASE_MS * 2**attempt)


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4042])
def test_codes_of_the_40xx_family_stop(code: int) -> None:
    """What would be refused again is not tried again."""
    assert isinstance(judge(Closing(code), FRESH, 0.5), Stop)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4100, 4102, 4103, 4108, 4109])
def test_accidents_and_41xx_come_back_with_backoff(code: int) -> None:
    """The pause grows with the attempts."""
    at = Circumstances(attempt=3, greeted=False)
    assert judge(Closing(code), at, 0.5) == Retry(BASE_MS * 8 // 2)


@pytest.mark.parametrize("code", [4200, 4201])
def test_codes_of_the_42xx_family_come_back_at_once(code: int) -> None:
    """At once after a steady connection, with backoff if the server does it again and again."""
    assert judge(Closing(code), FRESH, 0.5) == Retry(0)
    assert judge(Closing(code), Circumstances(attempt=2, greeted=False), 0.5) == Retry(1_000)


def test_close_reason_overrides_the_backoff() -> None:
    """4110 carries a time per connection, so that a restart is not a stampede."""
    closing = Closing(4110, '{"retry_after_ms":1234}')
    assert judge(closing, Circumstances(attempt=9, greeted=False), 0.5) == Retry(1_234)


@pytest.mark.parametrize("reason", ["", "bye", "{", '{"retry_after_ms":"x"}', '{"a":1}', "{}"])
def test_odd_close_reason_falls_back_to_the_notice(reason: str) -> None:
    """The wish of the notice counts when the reason says nothing."""
    at = Circumstances(attempt=0, greeted=False, retry_after_ms=77)
    assert judge(Closing(4110, reason), at, 0.5) == Retry(77)


def test_end_of_a_connection_is_told_in_words() -> None:
    """The server's own words, else what the code means."""
    assert Closing(4110, '{"retry_after_ms":1}').why == "the server is restarting"
    assert Closing(1006).why == "the connection was lost"
    assert Closing(1011, "out of memory").why == "out of memory"
    assert Closing(4199).why == "close code 4199"


def test_moved_connection_goes_to_the_url_of_the_notice() -> None:
    """4200 uses `url`, other codes do not."""
    at = Circumstances(attempt=0, greeted=True, moved_to="ws://b/ws")
    assert judge(Closing(4200), at, 0.5) == Retry(0, url="ws://b/ws")
    assert judge(Closing(4201), at, 0.5) == Retry(0)


def test_expired_token_is_renewed_first_or_stops() -> None:
    """4101 asks the token source; without one there is no use in coming back."""
    expired = ChatError("token_expired", retry=True)
    can = Circumstances(attempt=0, greeted=True, refusal=expired, can_renew=True)
    assert judge(Closing(4101), can, 0.5) == Retry(0, renew_token=True)
    cannot = Circumstances(attempt=0, greeted=True, refusal=expired)
    assert judge(Closing(4101), cannot, 0.5) == Stop(expired)
    assert judge(Closing(), can, 0.5) == Retry(0, renew_token=True)


def test_refused_hello_decides_by_its_retry_flag() -> None:
    """`retry` of the error is authoritative, also when the connection just ends."""
    busy = ChatError("overloaded", retry=True, retry_after_ms=900)
    at = Circumstances(attempt=0, greeted=False, refusal=busy)
    assert judge(Closing(), at, 0.5) == Retry(900)
    bad = ChatError("bad_request")
    at = Circumstances(attempt=0, greeted=False, refusal=bad)
    assert judge(Closing(), at, 0.5) == Stop(bad)


@given(st.lists(st.tuples(st.integers(0, 2**40), st.binary(min_size=8, max_size=8)), min_size=2))
def test_cids_rise_whatever_the_clock_does(draws: list[tuple[int, bytes]]) -> None:
    """Ids of one client sort in the order drawn and are UUIDs of version 7."""
    source = CidSource()
    cids = [source.draw(now_ms, entropy) for now_ms, entropy in draws]
    assert cids == sorted(set(cids))
    assert all(cid[14] == "7" and cid[19] in "89ab" and len(cid) == 36 for cid in cids)


def test_cid_begins_with_its_time_and_needs_its_entropy() -> None:
    """RFC 9562 section 5.7: 48 bits of Unix ms first."""
    assert CidSource().draw(0x0123456789AB, b"\xff" * 8).startswith("01234567-89ab-7000-bfff-")
    with pytest.raises(ValueError, match="8 bytes"):
        CidSource().draw(0, b"short")
