"""When to come back after a connection ended, and whether at all: pure rules.

Close codes come in families (protocol.md): 40xx do not return unchanged, 41xx return with
backoff, 42xx return at once; everything else is an accident and returns with backoff. Full
jitter is drawn as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from dataclasses import dataclass

import orjson

from chatrooms.client.errors import ChatError

BASE_MS = 500
CAP_MS = 30_000
RETRY_AFTER_MS_MAX = 600_000

CLOSE_AUTH = 4001
CLOSE_TOKEN_EXPIRED = 4101
CLOSE_DRAINING = 4110
CLOSE_MOVED = 4200

_STOPS = range(4000, 4100)
_AT_ONCE = range(4200, 4300)
_STOP_CODES = {
    4000: ("bad_request", "the server refused an operation in this state"),
    CLOSE_AUTH: ("unauthorized", "the credentials were refused"),
    4002: ("bad_request", "the server could not decode this client"),
    4003: ("unauthorized", "the session was revoked"),
    4004: ("banned", "this account is banned"),
    4005: ("bad_request", "the server speaks another version"),
    4006: ("limit_exceeded", "too many connections"),
    4007: ("bad_request", "too many refused operations"),
}
_REASONS = {
    1000: "the server said goodbye",
    1001: "the server is going away",
    1006: "the connection was lost",
    4100: "the server failed",
    CLOSE_TOKEN_EXPIRED: "the token has expired",
    4102: "the server heard nothing from here",
    4103: "too many messages",
    4108: "this side reads too slowly",
    4109: "the server is overloaded",
    CLOSE_DRAINING: "the server is restarting",
    CLOSE_MOVED: "the server moves this connection",
    4201: "the server asks to connect anew",
}


def full_jitter_ms(attempt: int, fraction: float) -> int:
    """Return the pause before attempt `attempt` (0, 1, …); `fraction` is uniform in [0, 1)."""
    return int(min(CAP_MS, BASE_MS * 2 ** min(attempt, 16)) * fraction)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a connection ended; code 1006 stands for an end without a close frame."""

    code: int = 1006
    reason: str = ""

    @property
    def why(self) -> str:
        """The reason in words: the server's own, else what the code stands for."""
        if self.reason and not self.reason.startswith("{"):
            return self.reason
        return _REASONS.get(self.code, f"close code {self.code}")

    @property
    def retry_after_ms(self) -> int | None:
        """The server's wish in the close reason, `{"retry_after_ms":N}`."""
        if not self.reason.startswith("{"):
            return None
        try:
            wish = orjson.loads(self.reason).get("retry_after_ms")
        except orjson.JSONDecodeError:
            return None
        return wish if type(wish) is int and wish >= 0 else None


@dataclass(frozen=True, slots=True)
class Retry:
    """Come back in `delay_ms`, perhaps with a new token, perhaps to another `url`."""

    delay_ms: int
    renew_token: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not come back: something must change first."""

    error: ChatError


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the verdict depends on besides the close code."""

    attempt: int
    greeted: bool
    refusal: ChatError | None = None
    retry_after_ms: int | None = None
    moved_to: str | None = None
    can_renew: bool = False


def judge(closing: Closing, at: Circumstances, fraction: float) -> Retry | Stop:
    """Decide what follows the end of a connection; `fraction` is uniform in [0, 1).

    A wish of the server (`err`, `notice` or close reason) overrides the drawn pause. 42xx
    return at once only when the last connection got as far as `welcome`: a server that closes
    every newcomer so must not be asked in a tight loop.
    """
    if closing.code in _STOPS:
        code, message = _STOP_CODES.get(closing.code, ("forbidden", "the server refused"))
        refused = at.refusal or ChatError(code, f"{message} (close code {closing.code})")
        return Stop(refused)
    expired = closing.code == CLOSE_TOKEN_EXPIRED or (
        at.refusal is not None and at.refusal.code == "token_expired"
    )
    if expired and not at.can_renew:
        return Stop(at.refusal or ChatError("token_expired", "the token has expired"))
    if at.refusal is not None and not at.refusal.retry and not expired:
        return Stop(at.refusal)
    wish = closing.retry_after_ms
    if wish is None and at.refusal is not None:
        wish = at.refusal.retry_after_ms
    if wish is None:
        wish = at.retry_after_ms
    if closing.code in _AT_ONCE and at.greeted:
        delay_ms = 0
    elif wish is not None:
        delay_ms = min(wish, RETRY_AFTER_MS_MAX)
    elif expired and at.greeted:
        delay_ms = 0
    else:
        delay_ms = full_jitter_ms(at.attempt, fraction)
    url = at.moved_to if closing.code == CLOSE_MOVED else None
    return Retry(delay_ms, renew_token=expired, url=url)
