"""Find what a returning client missed, with one read for all who ask at once."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from chatrooms.domain.position import Position
from chatrooms.ports.log import Log

EVENTS_MAX: Final = 300
BYTES_MAX: Final = 262_144
HELLO_BYTES_MAX: Final = 1_048_576


class Missed(NamedTuple):
    """A client's place in a log, the log's head, and the lowest seq the hub holds (0: none)."""

    log: str
    since: Position | None
    head: int
    held_from: int


async def missed_lines(log: Log, asks: Sequence[Missed]) -> list[list[str] | None]:
    """For each the lines since+1..head, where they are within the bounds and not in the hub.

    None where the hub holds them and where there are none: nothing was missed, or no position is
    given, another epoch, a future. [] where the client is told `gap` instead: more than EVENTS_MAX
    or BYTES_MAX behind. None there would make the hub ask again, in vain.
    """
    found: list[list[str] | None] = [None] * len(asks)
    wants: list[tuple[str, int, int]] = []
    places: list[int] = []
    for place, ask in enumerate(asks):
        if ask.since is None or ask.since.epoch != log.epoch:
            continue
        behind = ask.head - ask.since.seq
        if behind > EVENTS_MAX:
            found[place] = []
        elif behind > 0 and not 0 < ask.held_from <= ask.since.seq + 1:
            wants.append((ask.log, ask.since.seq, ask.head))
            places.append(place)
    if wants:
        for place, lines in zip(places, await log.since(wants, EVENTS_MAX, BYTES_MAX), strict=True):
            found[place] = [] if lines is None else lines
    return found


def within_hello(found: Sequence[list[str] | None]) -> list[list[str] | None]:
    """`found` of one `hello`, cut to HELLO_BYTES_MAX: rooms past it are told `gap`."""
    left = HELLO_BYTES_MAX
    kept: list[list[str] | None] = []
    for lines in found:
        size = sum(len(line.encode()) + 1 for line in lines) if lines else 0
        fits = size <= left
        left -= size if fits else 0
        kept.append(lines if fits else [])
    return kept
