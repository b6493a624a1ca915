"""Which stretch of a log a page shows: logs have no gaps, so it follows from the head alone."""

from typing import Final, NamedTuple

PAGE_BYTES_MAX: Final = 240 * 1024  # a page travels in one server frame of 256 KiB


class Window(NamedTuple):
    """Seqs `low`..`high`, both inclusive; empty when high < low."""

    low: int
    high: int


def window(kind: str, seq: int, limit: int, head: int) -> Window:
    """The stretch of at most `limit` events that an anchor means in a log of `head` events."""
    if kind == "after":
        return Window(max(seq, 0) + 1, min(head, max(seq, 0) + limit))
    if kind == "around":
        low = max(1, min(seq - limit // 2, head - limit + 1))
        return Window(low, min(head, low + limit - 1))
    high = head if kind == "newest" else max(0, min(head, seq - 1))
    return Window(max(1, high - limit + 1), high)


def fit(kind: str, seq: int, span: Window, sizes: list[int], bytes_max: int) -> Window:
    """The part of `span` that fits into `bytes_max`; `sizes` are the lines' bytes, in order.

    What is left out is at the far end from the anchor, so that the next page joins on; one event
    always stays.
    """
    low, high = span
    total = sum(sizes)
    while total > bytes_max and low < high:
        if kind == "after" or (kind == "around" and high - seq >= seq - low):
            total -= sizes[high - span.low]
            high -= 1
        else:
            total -= sizes[low - span.low]
            low += 1
    return Window(low, high)


def more(kind: str, span: Window, head: int) -> bool:
    """Whether events follow in the direction asked: newer for after and around, else older."""
    if kind in {"after", "around"}:
        return span.high < head
    return span.low > 1
