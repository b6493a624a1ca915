"""The strict JSON judge that sockets and REST share, so that both store the same bytes."""

from typing import Protocol


class Scanner(Protocol):
    """RFC 8259 within depth 16 and 64 keys, no duplicate keys, no lone surrogates."""

    def members(self, document: bytes) -> dict[str, bytes]:
        """The exact value bytes of each top-level member; `bad_request` if it is no such object."""
        ...

    def judge_body(self, body: bytes) -> None:
        """Raises Refusal `bad_request` or `too_large` for a message body."""
        ...
