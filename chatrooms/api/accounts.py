"""Routes of accounts, tokens and sessions."""

import re
from typing import Final

from fastapi import APIRouter, Request, Response, Security

from chatrooms.api.routing import (
    BEARER,
    Caller,
    Given,
    MemberRoute,
    OpenRoute,
    changes,
    is_id,
    problems,
)
from chatrooms.api.schemas import (
    LoginIn,
    RefreshIn,
    RegisterIn,
    SessionOut,
    SessionsOut,
    TicketOut,
    TokensOut,
    UserOut,
)
from chatrooms.domain.errors import Code, Refusal

CLIENT_CHARACTERS_MAX: Final = 120
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")

doors = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=OpenRoute)
inside = APIRouter(
    prefix="/v1", tags=["auth"], route_class=MemberRoute, dependencies=[Security(BEARER)]
)


@doors.post("/register", status_code=201, responses=changes(409, 422))
async def register(given: Given, body: RegisterIn) -> UserOut:
    """Makes an account."""
    account = await given.cases.register(body.username, body.password, body.display_name)
    return UserOut.of(account)


@doors.post("/login", responses=changes(401, 422))
async def login(request: Request, given: Given, body: LoginIn) -> TokensOut:
    """Starts a session; the User-Agent names it in the list of sessions."""
    agent = _UNPRINTABLE.sub("", request.headers.get("user-agent", ""))[:CLIENT_CHARACTERS_MAX]
    return TokensOut.of(await given.cases.login(body.username, body.password, agent))


@doors.post("/refresh", responses=changes(401, 422))
async def refresh(given: Given, body: RefreshIn) -> TokensOut:
    """Exchanges a refresh token; one that was exchanged before ends its session."""
    return TokensOut.of(await given.cases.refresh(body.refresh_token))


@doors.post("/logout", status_code=204, responses=changes(422))
async def logout(given: Given, body: RefreshIn) -> Response:
    """Ends the session of a refresh token."""
    await given.cases.logout(body.refresh_token)
    return Response(status_code=204)


@inside.post("/auth/ticket", responses=changes(401))
async def issue_ticket(given: Given, caller: Caller) -> TicketOut:
    """A one-time ticket for the WebSocket URL."""
    ticket, seconds = await given.cases.issue_ticket(caller)
    return TicketOut(ticket=ticket, expires_in=seconds)


@inside.get("/sessions", responses=problems(401))
async def list_sessions(given: Given, caller: Caller) -> SessionsOut:
    """Where the caller is logged in."""
    sessions = await given.cases.list_sessions(caller.user)
    return SessionsOut(sessions=[SessionOut.of(each, caller.session) for each in sessions])


@inside.delete("/sessions/{session}", status_code=204, responses=changes(401, 404))
async def end_session(given: Given, caller: Caller, session: str) -> Response:
    """Ends a session: its tokens at once, its sockets within a second."""
    if not is_id(session):
        raise Refusal(Code.NOT_FOUND, "No such session.")
    await given.cases.end_session(caller.user, session)
    return Response(status_code=204)


@inside.get("/users/me", tags=["users"], responses=problems(401, 404))
async def view_me(given: Given, caller: Caller) -> UserOut:
    """The caller's own account."""
    return UserOut.of(await given.cases.find_user(caller.user, caller.user))


@inside.get("/users/{user}", tags=["users"], responses=problems(401, 404))
async def view_user(given: Given, caller: Caller, user: str) -> UserOut:
    """The account of somebody the caller shares a room with."""
    if not is_id(user):
        raise Refusal(Code.NOT_FOUND, "No such user.")
    return UserOut.of(await given.cases.find_user(caller.user, user))
