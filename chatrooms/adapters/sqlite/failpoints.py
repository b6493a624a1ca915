"""Armed kills: the process dies by SIGKILL at a chosen place, so that tests can see the rest."""

import os
import signal
from collections.abc import Mapping
from typing import Final

BEFORE_COMMIT: Final = "store.before_commit"  # a batch with posts is taken, nothing is written
MID_COMMIT: Final = "store.mid_commit"  # its rows are inserted, COMMIT is not said
AFTER_COMMIT: Final = "store.after_commit"  # it is durable, nobody has been told


class Failpoints:
    """Counts the batches with posts that pass each place and aborts at the one asked for."""

    def __init__(self, armed: Mapping[str, tuple[str, int]]) -> None:
        """`armed`: place -> ("abort", n), n >= 1: the n-th passage kills."""
        self._left = {place: nth for place, (action, nth) in armed.items() if action == "abort"}

    def pass_by(self, place: str) -> None:
        """Dies here when it is time."""
        if not self._left or place not in self._left:
            return
        self._left[place] -= 1
        if self._left[place] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
