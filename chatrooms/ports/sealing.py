"""Texts that only the holder of a secret can read again."""

from typing import Protocol


class Seals(Protocol):
    """Authenticated encryption under a key derived from the secret (HKDF, AES-256-GCM)."""

    def seal(self, secret: str, text: str) -> str:
        """`text` sealed under `secret`, URL-safe; sealing twice gives two different strings."""
        ...

    def unseal(self, secret: str, sealed: str) -> str:
        """The text; ValueError for another secret or an altered string."""
        ...
