"""Routes of rooms, their members and bans."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query, Response, Security

from chatrooms.api.cursors import decode_cursor, encode_cursor
from chatrooms.api.routing import BEARER, Caller, Given, MemberRoute, also, changes, is_id, problems
from chatrooms.api.schemas import (
    DirectRoomIn,
    MemberOut,
    MembersOut,
    NamedRoomIn,
    RoleIn,
    RoomOut,
    RoomsOut,
    UserIn,
)
from chatrooms.domain.errors import Code, Refusal
from chatrooms.domain.room import Kind

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=128)]

router = APIRouter(
    prefix="/v1/rooms", tags=["rooms"], route_class=MemberRoute, dependencies=[Security(BEARER)]
)


@router.post(
    "",
    status_code=201,
    response_model_exclude_none=True,
    responses=also(RoomOut, "The direct room was there already") | changes(401, 404, 422),
)
async def create_room(
    given: Given,
    caller: Caller,
    response: Response,
    body: Annotated[NamedRoomIn | DirectRoomIn, Body(discriminator="kind")],
) -> RoomOut:
    """Makes a room, or opens the one direct room with another user."""
    if isinstance(body, DirectRoomIn):
        view, made = await given.cases.open_direct(caller.user, body.user)
        response.status_code = 201 if made else 200
        return RoomOut.of(view)
    return RoomOut.of(await given.cases.create_room(caller.user, Kind(body.kind), body.name))


@router.get("", response_model_exclude_none=True, responses=problems(401, 422))
async def list_rooms(
    given: Given,
    caller: Caller,
    scope: Literal["mine", "public"] = "mine",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RoomsOut:
    """Rooms the caller is in or invited to, or all public ones."""
    after = decode_cursor(cursor)
    views, more = await given.cases.list_rooms(caller.user, scope, limit, after)
    return RoomsOut(
        rooms=[RoomOut.of(view) for view in views],
        next_cursor=encode_cursor(views[-1].room.id) if more else None,
    )


@router.get("/{room}", response_model_exclude_none=True, responses=problems(401, 403, 404))
async def view_room(given: Given, caller: Caller, room: str) -> RoomOut:
    """One room."""
    return RoomOut.of(await given.cases.view_room(caller.user, room))


@router.post("/{room}/join", response_model_exclude_none=True, responses=changes(401, 403, 404))
async def join_room(given: Given, caller: Caller, room: str) -> RoomOut:
    """Makes the caller a member."""
    return RoomOut.of(await given.cases.join_room(caller.user, room))


@router.post("/{room}/leave", status_code=204, responses=changes(401, 403, 404))
async def leave_room(given: Given, caller: Caller, room: str) -> Response:
    """Ends the caller's membership."""
    await given.cases.leave_room(caller.user, room)
    return Response(status_code=204)


@router.post("/{room}/invitations", status_code=204, responses=changes(401, 403, 404, 409, 422))
async def invite(given: Given, caller: Caller, room: str, body: UserIn) -> Response:
    """Lets a user into a private room."""
    await given.cases.invite(caller.user, room, body.user)
    return Response(status_code=204)


@router.get("/{room}/members", responses=problems(401, 403, 404, 422))
async def list_members(
    given: Given, caller: Caller, room: str, limit: Limit = 50, cursor: Cursor = None
) -> MembersOut:
    """The members by user id."""
    after = decode_cursor(cursor)
    members, more = await given.cases.list_members(caller.user, room, limit, after)
    return MembersOut(
        members=[MemberOut.model_validate(member._asdict()) for member in members],
        next_cursor=encode_cursor(members[-1].user) if more else None,
    )


@router.patch("/{room}/members/{user}", status_code=204, responses=changes(401, 403, 404, 409, 422))
async def change_role(given: Given, caller: Caller, room: str, user: str, body: RoleIn) -> Response:
    """Gives a member another role."""
    await given.cases.change_role(caller.user, room, _user(user), body.value())
    return Response(status_code=204)


@router.delete("/{room}/members/{user}", status_code=204, responses=changes(401, 403, 404))
async def kick(given: Given, caller: Caller, room: str, user: str) -> Response:
    """Makes a member leave."""
    await given.cases.kick(caller.user, room, _user(user))
    return Response(status_code=204)


@router.put("/{room}/bans/{user}", status_code=204, responses=changes(401, 403, 404))
async def ban(given: Given, caller: Caller, room: str, user: str) -> Response:
    """Makes a user leave and keeps them out."""
    await given.cases.ban(caller.user, room, _user(user))
    return Response(status_code=204)


@router.delete("/{room}/bans/{user}", status_code=204, responses=changes(401, 403, 404))
async def unban(given: Given, caller: Caller, room: str, user: str) -> Response:
    """Lets a banned user come back."""
    await given.cases.unban(caller.user, room, _user(user))
    return Response(status_code=204)


def _user(user: str) -> str:
    if not is_id(user):
        raise Refusal(Code.NOT_FOUND, "No such user.")
    return user
