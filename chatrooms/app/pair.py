"""What a login or a refresh gives."""

from typing import NamedTuple


class TokenPair(NamedTuple):
    """An access token (JWT), the refresh token that follows, and the first one's life."""

    access_token: str
    refresh_token: str
    expires_in: int
