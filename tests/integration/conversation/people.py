"""People with accounts on a running node, and what they do over REST."""

from typing import Any, Final, NamedTuple

import httpx

from tests.integration.running import RunningNode

PAGE: Final = 100
PASSWORD: Final = "tall grass 41"

Event = dict[str, Any]


class Person(NamedTuple):
    """A user id, and a token of theirs."""

    name: str
    user: str
    token: str


class Town:
    """One HTTP client for everybody on a node."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        self.http = httpx.Client(
            base_url=node.rest_url, trust_env=False, timeout=30, transport=httpx.HTTPTransport()
        )

    def close(self) -> None:
        """Closes the HTTP connections."""
        self.http.close()

    def people(self, name: str, count: int) -> list[Person]:
        """`count` people without passwords, NAME-0 and on, let in by `chatrooms token`."""
        tokens = self.node.tokens(name, count)
        return [self._who(f"{name}-{place}", token) for place, token in enumerate(tokens)]

    def person(self, name: str) -> Person:
        """Somebody with a password, logged in."""
        told = self.http.post("/v1/auth/register", json={"username": name, "password": PASSWORD})
        assert told.status_code == httpx.codes.CREATED, told.text
        return self._who(name, self.login(name)["access_token"])

    def login(self, name: str) -> Event:
        """A new session of a person with a password: its tokens."""
        told = self.http.post("/v1/auth/login", json={"username": name, "password": PASSWORD})
        assert told.status_code == httpx.codes.OK, told.text
        tokens: Event = told.json()
        return tokens

    def request(self, who: Person, method: str, path: str, json: Any = None) -> httpx.Response:
        """A request below /v1 as `who`."""
        headers = {"authorization": f"Bearer {who.token}"}
        return self.http.request(method, f"/v1{path}", json=json, headers=headers)

    def do(self, who: Person, method: str, path: str, json: Any = None) -> Any:
        """The same where it must succeed: its JSON."""
        told = self.request(who, method, path, json)
        assert told.is_success, f"{method} {path}: {told.status_code} {told.text}"
        return told.json() if told.content else None

    def refused(self, who: Person, method: str, path: str, json: Any = None) -> tuple[int, str]:
        """The same where it must not: status and code."""
        told = self.request(who, method, path, json)
        return told.status_code, told.json()["code"]

    def room(self, owner: Person, *guests: Person, kind: str = "public") -> str:
        """A new room in which the guests are members."""
        room: str = self.do(owner, "POST", "/rooms", {"kind": kind, "name": "a room"})["id"]
        for guest in guests:
            if kind == "private":
                self.do(owner, "POST", f"/rooms/{room}/invitations", {"user": guest.user})
            self.do(guest, "POST", f"/rooms/{room}/join")
        return room

    def history(self, who: Person, room: str, after: int = 0) -> list[Event]:
        """Every event of the log above `after`, page by page."""
        found: list[Event] = []
        more = True
        while more:
            page = self.do(who, "GET", f"/rooms/{room}/messages?after={after}&limit={PAGE}")
            found += page["events"]
            more = page["more"]
            after = found[-1]["seq"] if found else after
        return found

    def _who(self, name: str, token: str) -> Person:
        nobody = Person(name, "", token)
        return nobody._replace(user=self.do(nobody, "GET", "/users/me")["id"])
