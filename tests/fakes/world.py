"""A control plane without sockets: real store, real tokens, real REST, a recording gateway."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from chatrooms.adapters.aead import AeadSeals
from chatrooms.adapters.argon2 import Argon2Passwords
from chatrooms.adapters.core import CoreScanner
from chatrooms.adapters.jose import JoseTokens
from chatrooms.adapters.limits import NodeLoginFailures, NodeRequestRates
from chatrooms.adapters.memory import MemoryStore
from chatrooms.adapters.sqlite import SqliteStore, open_store
from chatrooms.api import Services, create_app
from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.use_cases import Ports, UseCases, assemble
from chatrooms.domain.rate import Rate
from chatrooms.ports.clock import Clock
from chatrooms.ports.scanner import Scanner
from tests.fakes.clock import ManualClock
from tests.fakes.gateway import RecordingGateway

Store: TypeAlias = SqliteStore | MemoryStore
PASSWORD = "violet-harbour-29"


@dataclass(frozen=True)
class Person:
    """A registered and logged-in user."""

    id: str
    username: str
    tokens: dict[str, Any]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that speaks for them."""
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


@dataclass(frozen=True)
class World:
    """The parts of a node under test; `http` speaks to the REST API in process."""

    store: Store
    clock: ManualClock
    gateway: RecordingGateway
    cases: UseCases
    tokens: JoseTokens
    app: FastAPI
    http: httpx.AsyncClient
    failures: list[Exception]

    async def person(self, username: str) -> Person:
        """Registers and logs in over REST."""
        account = {"username": username, "password": PASSWORD}
        made = await self.http.post("/v1/auth/register", json=account)
        assert made.status_code == 201, made.text
        tokens = await self.http.post("/v1/auth/login", json=account)
        assert tokens.status_code == 200, tokens.text
        return Person(made.json()["id"], username, tokens.json())

    async def room(self, owner: Person, kind: str = "public") -> str:
        """Makes a room over REST."""
        wanted = {"kind": kind, "name": "Garden"}
        made = await self.http.post("/v1/rooms", json=wanted, headers=owner.bearer)
        assert made.status_code == 201, made.text
        room: str = made.json()["id"]
        return room

    async def post(self, person: Person, room: str, cid: str, text: str = "hi") -> httpx.Response:
        """Posts a message over REST."""
        return await self.http.post(
            f"/v1/rooms/{room}/messages",
            json={"body": {"text": text}},
            headers=person.bearer | {"Idempotency-Key": cid},
        )


@contextlib.asynccontextmanager
async def open_world(
    path: Path | None,
    *,
    rates: Mapping[str, Rate] | None = None,
    scanner: Scanner | None = None,
    passwords: Argon2Passwords | None = None,
    **services: Any,
) -> AsyncIterator[World]:
    """Everything from the store to REST; `services` override fields of Services.

    With a path the store is SQLite there, without one it is in memory.
    """
    clock = ManualClock()
    store: Store = (
        MemoryStore(clock.now_ms) if path is None else open_store(path, clock=clock.now_ms)
    )
    await store.start()
    gateway = RecordingGateway()
    tokens = JoseTokens(store.keys, clock)
    await tokens.load()
    # One pass over 8 KiB: what is under test is not the hash.
    hashing = passwords or Argon2Passwords(PasswordHasher(1, 8, 1))
    cases = assemble(_ports(store, clock, gateway, tokens, hashing), Lifetimes())
    store.log.on_commit(cases.fan_out)
    failures: list[Exception] = []
    parts: dict[str, Any] = {
        "cases": cases,
        "scanner": scanner or CoreScanner(),
        "health": lambda: {"node": "n1", "pid": 1, "version": "0"},
        "ready": lambda: True,
        "metrics": lambda: b"chat_up 1\n",
        "rates": None if rates is None else NodeRequestRates(clock, rates),
        "origins": frozenset({"https://chat.example"}),
        "on_failure": lambda _, error: failures.append(error),
    }
    app = create_app(Services(**(parts | services)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        try:
            yield World(store, clock, gateway, cases, tokens, app, http, failures)
        finally:
            hashing.close()
            await store.close()


def _ports(
    store: Store,
    clock: Clock,
    gateway: RecordingGateway,
    tokens: JoseTokens,
    passwords: Argon2Passwords,
) -> Ports:
    return Ports(
        accounts=store.accounts,
        clock=clock,
        failures=NodeLoginFailures(clock),
        gateway=gateway,
        log=store.log,
        marks=store.marks,
        passwords=passwords,
        positions=store.positions,
        rooms=store.rooms,
        seals=AeadSeals(),
        sessions=store.sessions,
        tickets=store.tickets,
        tokens=tokens,
    )
