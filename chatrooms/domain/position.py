"""Where an event stands: (epoch, seq), the log's identity and the place in a room's log."""

from typing import NamedTuple


class Position(NamedTuple):
    """A place in a room's log: `epoch` names the log, `seq` (>= 0, < 2**53) the place in it."""

    epoch: str
    seq: int
