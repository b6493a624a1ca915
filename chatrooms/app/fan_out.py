"""Tell the sockets what was committed: the one listener of the log."""

from dataclasses import dataclass

from chatrooms.domain.errors import Refusal
from chatrooms.ports.gateway import Ack, Gateway
from chatrooms.ports.log import Commit


@dataclass(frozen=True, slots=True)
class FanOut:
    """A post's tag is (connection, id, received_us) for a `send`, None for one over REST."""

    gateway: Gateway

    def __call__(self, commit: Commit) -> None:
        """Hands the runs, acks and refusals of one commit over in one call."""
        acks: list[Ack] = []
        refusals: list[tuple[int, int, str, Refusal]] = []
        for post, outcome in commit.outcomes:
            tag = post.tag
            if not isinstance(tag, tuple):
                continue
            connection, ask, received_us = tag
            if isinstance(outcome, Refusal):
                refusals.append((connection, ask, post.room, outcome))
            else:
                seq, n, ts_ms, dup = outcome
                acks.append(Ack(connection, ask, received_us, seq, n, ts_ms, dup))
        self.gateway.deliver(commit.runs, acks, refusals)
