"""All use cases over one set of ports, so that bootstrap and tests wire them alike."""

from dataclasses import dataclass

from chatrooms.app.asks import Asks
from chatrooms.app.authenticate import Authenticate
from chatrooms.app.ban import Ban
from chatrooms.app.change_role import ChangeRole
from chatrooms.app.create_room import CreateRoom
from chatrooms.app.end_session import EndSession
from chatrooms.app.fan_out import FanOut
from chatrooms.app.find_user import FindUser
from chatrooms.app.invite import Invite
from chatrooms.app.issue_ticket import IssueTicket
from chatrooms.app.join_room import JoinRoom
from chatrooms.app.kick import Kick
from chatrooms.app.leave_room import LeaveRoom
from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.list_members import ListMembers
from chatrooms.app.list_rooms import ListRooms
from chatrooms.app.list_sessions import ListSessions
from chatrooms.app.login import Login
from chatrooms.app.logout import Logout
from chatrooms.app.mark_read import MarkRead
from chatrooms.app.open_direct import OpenDirect
from chatrooms.app.post_message import PostMessage
from chatrooms.app.read_history import ReadHistory
from chatrooms.app.reauthorize import Reauthorize
from chatrooms.app.refresh import Refresh
from chatrooms.app.register import Register
from chatrooms.app.repair import Repair
from chatrooms.app.subscribe import Subscribe
from chatrooms.app.unban import Unban
from chatrooms.app.view_room import ViewRoom
from chatrooms.app.welcome import Welcome
from chatrooms.app.who import Who
from chatrooms.ports.accounts import Accounts
from chatrooms.ports.clock import Clock
from chatrooms.ports.credentials import Passwords, Tokens
from chatrooms.ports.gateway import Gateway
from chatrooms.ports.limits import LoginFailures
from chatrooms.ports.log import Log
from chatrooms.ports.marks import Marks
from chatrooms.ports.positions import Positions
from chatrooms.ports.rooms import Rooms
from chatrooms.ports.sealing import Seals
from chatrooms.ports.sessions import Sessions, Tickets


@dataclass(frozen=True, slots=True)
class Ports:
    """What the use cases ask of the world."""

    accounts: Accounts
    clock: Clock
    failures: LoginFailures
    gateway: Gateway
    log: Log
    marks: Marks
    passwords: Passwords
    positions: Positions
    rooms: Rooms
    seals: Seals
    sessions: Sessions
    tickets: Tickets
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class UseCases:
    """What people can do; `asks` answers connections, `fan_out` is the log's listener."""

    asks: Asks
    authenticate: Authenticate
    ban: Ban
    change_role: ChangeRole
    create_room: CreateRoom
    end_session: EndSession
    fan_out: FanOut
    find_user: FindUser
    invite: Invite
    issue_ticket: IssueTicket
    join_room: JoinRoom
    kick: Kick
    leave_room: LeaveRoom
    list_members: ListMembers
    list_rooms: ListRooms
    list_sessions: ListSessions
    login: Login
    logout: Logout
    open_direct: OpenDirect
    post_message: PostMessage
    read_history: ReadHistory
    refresh: Refresh
    register: Register
    unban: Unban
    view_room: ViewRoom


def assemble(ports: Ports, lifetimes: Lifetimes) -> UseCases:
    """Every use case over `ports`. The caller makes `fan_out` the log's listener."""
    p = ports
    authenticate = Authenticate(p.tokens, p.sessions)
    read_history = ReadHistory(p.positions, p.log, p.gateway)
    return UseCases(
        asks=_asks(ports, lifetimes, authenticate, read_history),
        authenticate=authenticate,
        ban=Ban(p.positions, p.rooms),
        change_role=ChangeRole(p.positions, p.rooms),
        create_room=CreateRoom(p.rooms),
        end_session=EndSession(p.sessions, p.gateway),
        fan_out=FanOut(p.gateway),
        find_user=FindUser(p.accounts),
        invite=Invite(p.positions, p.rooms),
        issue_ticket=IssueTicket(p.tickets, p.clock, lifetimes),
        join_room=JoinRoom(p.rooms),
        kick=Kick(p.positions, p.rooms),
        leave_room=LeaveRoom(p.positions, p.rooms),
        list_members=ListMembers(p.positions, p.rooms),
        list_rooms=ListRooms(p.rooms),
        list_sessions=ListSessions(p.sessions),
        login=Login(p.accounts, p.passwords, p.sessions, p.tokens, p.failures, p.clock, lifetimes),
        logout=Logout(p.sessions, p.gateway),
        open_direct=OpenDirect(p.accounts, p.rooms),
        post_message=PostMessage(p.log),
        read_history=read_history,
        refresh=Refresh(p.sessions, p.tokens, p.seals, p.gateway, p.clock, lifetimes),
        register=Register(p.accounts, p.passwords),
        unban=Unban(p.positions, p.rooms),
        view_room=ViewRoom(p.rooms),
    )


def _asks(
    ports: Ports, lifetimes: Lifetimes, authenticate: Authenticate, read_history: ReadHistory
) -> Asks:
    p = ports
    welcome = Welcome(authenticate, p.tickets, p.positions, p.log, p.gateway, p.clock, lifetimes)
    return Asks(
        welcome_many=welcome.many,
        subscribe_many=Subscribe(p.positions, p.log, p.gateway).many,
        mark_many=MarkRead(p.marks, p.gateway).many,
        history=read_history.answer,
        who=Who(p.positions, p.rooms, p.gateway),
        repair=Repair(p.log, p.gateway),
        reauthorize=Reauthorize(authenticate, p.gateway),
    )
