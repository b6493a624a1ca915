"""Ids of accounts, rooms and sessions: short, URL-safe, and in the order in which they were made.

20 characters of Crockford's base32 in lower case: 44 bits of milliseconds since 1970 (enough until
the year 2527) and 56 bits of randomness. Neighbours in time are neighbours in an index.
"""

from typing import Final

RANDOM_BYTES: Final = 7
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 20
_RANDOM_BITS: Final = RANDOM_BYTES * 8
_TIME_MASK: Final = (1 << 44) - 1


def sortable_id(now_ms: int, randomness: bytes) -> str:
    """The id for a time in ms since 1970 and RANDOM_BYTES random bytes."""
    bits = ((now_ms & _TIME_MASK) << _RANDOM_BITS) | int.from_bytes(
        randomness[:RANDOM_BYTES], "big"
    )
    return "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(5 * _LENGTH - 5, -5, -5))
