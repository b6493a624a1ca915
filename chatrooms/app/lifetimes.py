"""How long credentials live."""

from typing import NamedTuple


class Lifetimes(NamedTuple):
    """Access tokens are short because only sessions are looked up, refresh tokens rotate."""

    access_seconds: int = 900
    refresh_seconds: int = 30 * 86_400
    ticket_seconds: int = 30
    refresh_grace_ms: int = 10_000
