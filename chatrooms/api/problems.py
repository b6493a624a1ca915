"""Errors as RFC 9457 problem details: one shape for every status that is not a success."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.rate import Rate, Spent
from chatrooms.domain.room import Kind

MEDIA_TYPE: Final = "application/problem+json"
REQUEST_ID: Final = "chatrooms.request_id"
FIELD_CHARACTERS_MAX: Final = 64
_CODES_BY_STATUS: Final = {
    400: Code.BAD_REQUEST,
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    406: Code.NOT_ACCEPTABLE,
    413: Code.TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
    422: Code.INVALID,
    429: Code.RATE_LIMITED,
    500: Code.INTERNAL,
    503: Code.UNAVAILABLE,
}
# Steps that pydantic puts into the path of a tagged union; no field is called like them.
_TAGS: Final = frozenset(kind.value for kind in Kind)
CHALLENGE: Final = 'Bearer error="invalid_token"'

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457 problem details; `retry` is authoritative.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "request_id", "retry"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": [code.value for code in Code]},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "retry": {"type": "boolean"},
        "retry_after_ms": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


class RateRefusal(Refusal):
    """`rate_limited` by a bucket: what the RateLimit fields say."""

    def __init__(self, bucket: str, rate: Rate, spent: Spent) -> None:
        wait_ms = math.ceil(spent.retry_after * 1000)
        super().__init__(Code.RATE_LIMITED, "Too many requests.", retry_after_ms=wait_ms)
        self.bucket = bucket
        self.rate = rate
        self.reset = spent.reset

    def fields(self) -> dict[str, str]:
        """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
        window = max(1, math.ceil(self.rate.burst / self.rate.per_second))
        return {
            "RateLimit-Policy": f'"{self.bucket}";q={self.rate.burst};w={window}',
            "RateLimit": f'"{self.bucket}";r=0;t={math.ceil(self.reset)}',
        }


def problem(
    request_id: str,
    refusal: Refusal,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a refused request; the sentence is ours and never repeats the input."""
    status = refusal.code.status
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": refusal.code.value,
        "detail": str(refusal),
        "request_id": request_id,
        "retry": refusal.code.retry,
    }
    if refusal.retry_after_ms is not None:
        content["retry_after_ms"] = refusal.retry_after_ms
    if errors is None and refusal.field is not None:
        errors = [{"field": refusal.field, "reason": str(refusal)}]
    if errors:
        content["errors"] = errors
    more = _fields(refusal, status) | dict(headers or {})
    return Response(orjson.dumps(content), status, more, MEDIA_TYPE)


def _fields(refusal: Refusal, status: int) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": CHALLENGE}
    if status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return {}
    seconds = math.ceil((refusal.retry_after_ms or 1000) / 1000)
    fields = {"Retry-After": str(seconds)}
    if isinstance(refusal, RateRefusal):
        return fields | refusal.fields()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        fields["RateLimit"] = f'"account";r=0;t={seconds}'
    return fields


async def answer_refusal(request: Request, error: Exception) -> Response:
    """A use case, a port or a limit said no."""
    if not isinstance(error, Refusal):
        raise error
    return problem(request.scope[REQUEST_ID], error)


async def answer_validation(request: Request, error: Exception) -> Response:
    """The request does not fit the schema: 422 with a reason a field."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [{"field": _field(entry), "reason": _reason(entry)} for entry in error.errors()]
    refusal = Refusal(Code.INVALID, "The request does not fit the schema.")
    return problem(request.scope[REQUEST_ID], refusal, errors)


async def answer_http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no route, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES_BY_STATUS.get(error.status_code, Code.INTERNAL)
    return problem(request.scope[REQUEST_ID], Refusal(code), headers=error.headers)


def _field(entry: dict[str, Any]) -> str:
    place: tuple[int | str, ...] = entry["loc"]
    if entry["type"].startswith("union_tag_"):
        return "kind"
    inner = [step for step in place[1:] if step not in _TAGS] or place
    return ".".join(str(step) for step in inner)[:FIELD_CHARACTERS_MAX]


def _reason(entry: dict[str, Any]) -> str:
    # The only sentence of pydantic's that repeats what was sent.
    if entry["type"] == "union_tag_invalid":
        return "Input should be one of the documented kinds"
    return str(entry["msg"])
