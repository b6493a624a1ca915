"""Secrets that are given once and kept as a hash: refresh tokens and tickets."""

import hashlib
import secrets

SECRET_BYTES = 32


def new_secret() -> str:
    """256 random bits, base64url without padding (43 characters)."""
    return secrets.token_urlsafe(SECRET_BYTES)


def sha256(secret: str) -> bytes:
    """What the store keeps; one round is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
