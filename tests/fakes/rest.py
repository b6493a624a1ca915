"""A small HTTP server with the REST calls the terminal client makes; says what it is told to.

It knows names and passwords and nothing else of the rules; those are tested against the node.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = tuple[int, dict[str, Any]]


class FakeRest:
    """Accounts, who is logged in, and what was asked."""

    def __init__(self) -> None:
        """No accounts."""
        self.url = ""
        self.passwords: dict[str, str] = {}
        self.asked: list[str] = []
        self.logins = 0
        self.refreshable = True

    def answer(self, method: str, path: str, body: dict[str, Any], user: str) -> Answer:
        """Answer one request; `user` is who the bearer token names."""
        self.asked.append(f"{method} {path}")
        place = path.partition("?")[0].split("/")[2:]
        if place[0] == "auth":
            return self._on_auth(place[1], body)
        ann = {"user": "u1", "username": "ann", "display_name": "Ann", "role": "owner"}
        match place:
            case ["users", "me"]:
                return 200, ann | {"username": user}
            case ["users", who]:
                return 200, {"id": who, "username": who, "display_name": who.upper()}
            case ["rooms", _, "join"]:
                return 200, {}
            case ["rooms", _, "members"]:
                return 200, {"members": [ann]}
        return 404, {"code": "not_found"}

    def _on_auth(self, call: str, body: dict[str, Any]) -> Answer:
        name, password = body.get("username", ""), body.get("password", "")
        refused: Answer = (401, {"code": "unauthorized", "title": "no"})
        if call == "register" and name == "x":
            reason = {"field": "username", "reason": "too short"}
            return 422, {"code": "invalid", "errors": [reason]}
        if call == "register":
            known = self.passwords.setdefault(name, password)
            taken = (409, {"code": "conflict", "title": "taken"})
            return taken if known != password else (201, {"id": f"id-{name}"})
        if call == "login":
            return refused if self.passwords.get(name) != password else (200, self._tokens(name))
        if not self.refreshable:
            return refused
        return 200, self._tokens(body["refresh_token"].removeprefix("refresh-"))

    def _tokens(self, name: str) -> dict[str, Any]:
        self.logins += 1
        access = f"access-{name}-{self.logins}"
        return {"access_token": access, "refresh_token": f"refresh-{name}", "expires_in": 900}


@contextmanager
def fake_rest() -> Iterator[FakeRest]:
    """Run a fake REST server on a free port of the loopback."""
    fake = FakeRest()

    class Handler(BaseHTTPRequestHandler):
        """Hands requests to the fake."""

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            user = token.split("-")[1] if "-" in token else ""
            status, answer = fake.answer(self.command, self.path, body, user)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 401:
                self.send_header("Retry-After", "3")
            self.end_headers()
            self.wfile.write(content)

        do_GET = _handle  # noqa: N815 -- the library's name
        do_POST = _handle  # noqa: N815 -- the same

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
