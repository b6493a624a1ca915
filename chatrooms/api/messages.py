"""Routes of a room's log. Bodies are stored as received and lines are answered as stored."""

import re
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError

from chatrooms.api.routing import BEARER, Caller, Given, MemberRoute, also, changes, problems, spend
from chatrooms.api.schemas import StoredOut
from chatrooms.app.read_history import encode_page
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.log import Anchor

SEQ_END: Final = 1 << 53
_CID: Final = re.compile(r"[\x21-\x7e]{1,64}")
_FIELDS: Final = frozenset({"body", "thread"})

Seq = Annotated[int | None, Query(ge=0, lt=SEQ_END)]

_POST_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["body"],
    "properties": {
        "body": {
            "description": 'At most 16 KiB; a text message is {"text": …} of 1 to 4,096 characters',
            "type": "object",
            "required": ["text"],
            "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 4096}},
            "example": {"text": "Hello"},
        },
        "thread": {"type": ["integer", "null"], "minimum": 1, "exclusiveMaximum": SEQ_END},
    },
}
_PAGE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["epoch", "events", "first", "last", "more"],
    "properties": {
        "epoch": {"type": "string"},
        "events": {"type": "array", "items": {"type": "object"}},
        "first": {"type": "integer"},
        "last": {"type": "integer"},
        "more": {"type": "boolean"},
    },
}
_PAGE_ANSWER: Final[dict[str, Any]] = {
    "description": "Events in ascending order, as on the WebSocket",
    "content": {"application/json": {"schema": _PAGE_SCHEMA}},
}

router = APIRouter(
    prefix="/v1/rooms/{room}/messages",
    tags=["messages"],
    route_class=MemberRoute,
    dependencies=[Security(BEARER)],
)


@router.get(
    "",
    response_class=Response,
    responses={200: _PAGE_ANSWER, **problems(401, 403, 404, 409, 422)},
)
async def read_history(
    given: Given,
    caller: Caller,
    room: str,
    before: Seq = None,
    after: Seq = None,
    around: Seq = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    epoch: Annotated[str | None, Query(max_length=128)] = None,
) -> Response:
    """A page of the log: the newest, or before, after (exclusive) or around (inclusive) a seq."""
    named = [("before", before), ("after", after), ("around", around)]
    anchors = [Anchor(kind, seq) for kind, seq in named if seq is not None]
    if len(anchors) > 1:
        raise Refusal(Code.INVALID, "Name one of before, after, around.", field=anchors[1].kind)
    anchor = anchors[0] if anchors else Anchor("newest")
    page = await given.cases.read_history(caller.user, room, anchor, limit, epoch)
    return Response(f"{{{encode_page(page)}}}", media_type="application/json")


@router.post(
    "",
    status_code=201,
    response_model=StoredOut,
    responses=also(StoredOut, "The key had been used for this before")
    | changes(401, 403, 404, 409, 422),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _POST_SCHEMA}}}
    },
)
async def post_message(
    request: Request,
    given: Given,
    caller: Caller,
    room: str,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="The message's cid: 1 to 64 characters U+0021 to U+007E",
            json_schema_extra={"pattern": r"^[!-~]{1,64}$"},
        ),
    ] = None,
) -> Response:
    """Stores a message; the same key again gives the first result with `dup`."""
    await spend(given, "post_user", caller.user)
    await spend(given, "post_room", room)
    if idempotency_key is None or not _CID.fullmatch(idempotency_key):
        raise Refusal(Code.BAD_REQUEST, "1 to 64 visible ASCII characters", field="Idempotency-Key")
    members = given.scanner.members(await request.body())
    thread = _judge_members(members)
    given.scanner.judge_body(members["body"])
    stored = await given.cases.post_message(
        caller.user, room, idempotency_key, members["body"].decode(), thread
    )
    answer: dict[str, object] = {"seq": stored.seq, "n": stored.n, "ts": stored.ts_ms}
    if stored.dup:
        answer["dup"] = True
    return Response(orjson.dumps(answer), 200 if stored.dup else 201, media_type="application/json")


def _judge_members(members: dict[str, bytes]) -> int | None:
    """The thread, if any; raises what FastAPI raises for fields that do not fit the schema."""
    errors = [
        {"type": "extra_forbidden", "loc": ("body", name), "msg": "Extra inputs are not permitted"}
        for name in members.keys() - _FIELDS
    ]
    if "body" not in members:
        errors.append({"type": "missing", "loc": ("body", "body"), "msg": "Field required"})
    elif not members["body"].startswith(b"{"):
        errors.append({"type": "type", "loc": ("body", "body"), "msg": "Should be an object"})
    thread = orjson.loads(members.get("thread", b"null"))
    whole = isinstance(thread, int) and not isinstance(thread, bool)
    if thread is not None and not (whole and 0 < thread < SEQ_END):
        errors.append({"type": "type", "loc": ("body", "thread"), "msg": "Should be a seq"})
    if errors:
        raise RequestValidationError(errors)
    return thread if whole else None
