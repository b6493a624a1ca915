"""Client ids of sends: UUIDs of version 7 (RFC 9562 section 5.7), so that they sort by time.

The server's dedupe index begins with the cid; time-ordered ids keep its inserts sequential.
"""

_COUNTER_BITS = 12
RANDOM_BYTES = 8


class CidSource:
    """Draws ids that rise strictly within one client, also inside one millisecond."""

    def __init__(self) -> None:
        """Start with no id drawn."""
        self._last = -1

    def draw(self, now_ms: int, entropy: bytes) -> str:
        """Return the next id, 36 characters; `entropy` is 8 random bytes.

        The 12 bits after the version count ids of one millisecond (RFC 9562 section 6.2,
        method 1); a full counter or a clock that steps back borrows from the future.
        """
        if len(entropy) != RANDOM_BYTES:
            raise ValueError("entropy must be 8 bytes")
        self._last = max(self._last + 1, now_ms << _COUNTER_BITS)
        time_ms, counter = divmod(self._last, 1 << _COUNTER_BITS)
        high = (time_ms & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | counter
        low = int.from_bytes(entropy, "big") & (1 << 62) - 1 | 1 << 63
        text = f"{high:016x}{low:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
