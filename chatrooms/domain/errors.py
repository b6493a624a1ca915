"""Every refusal has one code; protocol, REST and logs share this table."""

from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """The error codes of the protocol; `retry` and the HTTP status follow from the code."""

    BAD_REQUEST = "bad_request"
    INVALID = "invalid"
    UNKNOWN_OP = "unknown_op"
    TOO_LARGE = "too_large"
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 -- a code, not a secret
    TOKEN_IN_URL = "token_in_url"  # noqa: S105 -- a code, not a secret
    FORBIDDEN = "forbidden"
    NOT_MEMBER = "not_member"
    BANNED = "banned"
    MUTED = "muted"
    FROZEN = "frozen"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    CID_CONFLICT = "cid_conflict"
    CONFLICT = "conflict"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    EPOCH_MISMATCH = "epoch_mismatch"
    OUT_OF_RANGE = "out_of_range"
    SLOW_MODE = "slow_mode"
    RATE_LIMITED = "rate_limited"
    LIMIT_EXCEEDED = "limit_exceeded"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"

    @property
    def status(self) -> int:
        """The HTTP status that carries this code."""
        return _TABLE[self].status

    @property
    def retry(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return _TABLE[self].retry


class _Row(NamedTuple):
    status: int
    retry: bool = False


_TABLE: dict[Code, _Row] = {
    Code.BAD_REQUEST: _Row(400),
    Code.INVALID: _Row(422),
    Code.UNKNOWN_OP: _Row(400),
    Code.TOO_LARGE: _Row(413),
    Code.UNAUTHORIZED: _Row(401),
    Code.TOKEN_EXPIRED: _Row(401, retry=True),
    Code.TOKEN_IN_URL: _Row(400),
    Code.FORBIDDEN: _Row(403),
    Code.NOT_MEMBER: _Row(403),
    Code.BANNED: _Row(403),
    Code.MUTED: _Row(403),
    Code.FROZEN: _Row(403),
    Code.NOT_FOUND: _Row(404),
    Code.METHOD_NOT_ALLOWED: _Row(405),
    Code.NOT_ACCEPTABLE: _Row(406),
    Code.CID_CONFLICT: _Row(409),
    Code.CONFLICT: _Row(409),
    Code.UNSUPPORTED_MEDIA_TYPE: _Row(415),
    Code.EPOCH_MISMATCH: _Row(409),
    Code.OUT_OF_RANGE: _Row(422),
    Code.SLOW_MODE: _Row(429, retry=True),
    Code.RATE_LIMITED: _Row(429, retry=True),
    Code.LIMIT_EXCEEDED: _Row(429),
    Code.INTERNAL: _Row(500, retry=True),
    Code.UNAVAILABLE: _Row(503, retry=True),
    Code.OVERLOADED: _Row(503, retry=True),
    Code.TIMEOUT: _Row(504, retry=True),
}


class Refusal(Exception):  # noqa: N818 -- a refusal is an answer, not a fault
    """The application says no: a code, a sentence for people, and what concerns the retry."""

    def __init__(
        self,
        code: Code,
        message: str = "",
        *,
        field: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message or code.value.replace("_", " "))
        self.code = code
        self.field = field
        self.retry_after_ms = retry_after_ms
