"""The only place that names adapters: chooses them, and puts a node together."""

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.types import ASGIApp

from chatrooms.adapters.aead import AeadSeals
from chatrooms.adapters.argon2 import Argon2Passwords
from chatrooms.adapters.clock import SystemClock
from chatrooms.adapters.core import CoreGateway, CoreScanner, CoreSettings, open_core
from chatrooms.adapters.jose import JoseTokens
from chatrooms.adapters.limits import NodeLoginFailures, NodeRequestRates
from chatrooms.adapters.sqlite import SqliteStore, StoreUnusable, open_store
from chatrooms.admin.operations import Operations
from chatrooms.admin.server import AdminServer
from chatrooms.api import ResponseSeen, Services, create_app
from chatrooms.app.lifetimes import Lifetimes
from chatrooms.app.use_cases import Ports, UseCases, assemble
from chatrooms.config import Config
from chatrooms.ingress.once import AnswerOnce
from chatrooms.ingress.pump import Bounds, Pump
from chatrooms.node import DrainTimes, Node, Parts
from chatrooms.observability.endpoint import MetricsEndpoint
from chatrooms.observability.metrics import Metrics
from chatrooms.ports.log import Commit

__all__ = ["Built", "StoreUnusable", "build", "logs_are_json", "operations_at_rest"]

_log = structlog.get_logger(__name__)

LOBBY: Final = "lobby"


@dataclass(frozen=True, slots=True)
class Built:
    """A node that listens to nothing yet, and the ASGI applications of its HTTP ports."""

    node: Node
    rest: ASGIApp
    metrics_endpoint: MetricsEndpoint


async def build(config: Config) -> Built:
    """Opens the store and makes every part around it; raises StoreUnusable."""
    store = _open(config)
    try:
        await store.start()
        return await _around(config, store)
    except BaseException:
        await store.close()
        raise


def logs_are_json(config: Config) -> bool:
    """The form of the logs: `auto` is for machines in production, for people elsewhere."""
    return config.production if config.log_format == "auto" else config.log_format == "json"


@contextlib.asynccontextmanager
async def operations_at_rest(config: Config) -> AsyncIterator[Operations]:
    """Operations straight on the data directory, for when no node runs; raises StoreUnusable."""
    store = _open(config)
    try:
        await store.start()
        tokens = JoseTokens(store.keys, SystemClock())
        await tokens.load()
        yield Operations(store.accounts, store.sessions, store.rooms, tokens, store.log)
    finally:
        await store.close()


async def _around(config: Config, store: SqliteStore) -> Built:
    clock = SystemClock()
    metrics = Metrics()
    core = open_core(_core_settings(config, store.log.epoch))
    answers = AnswerOnce(CoreGateway(core))
    tokens = JoseTokens(store.keys, clock)
    await tokens.load()
    passwords = Argon2Passwords()
    cases = assemble(
        Ports(
            accounts=store.accounts,
            clock=clock,
            failures=NodeLoginFailures(clock),
            gateway=answers,
            log=store.log,
            marks=store.marks,
            passwords=passwords,
            positions=store.positions,
            rooms=store.rooms,
            seals=AeadSeals(),
            sessions=store.sessions,
            tickets=store.tickets,
            tokens=tokens,
        ),
        Lifetimes(config.access_token_seconds, config.refresh_token_seconds),
    )

    def tell(commit: Commit) -> None:
        cases.fan_out(commit)
        metrics.observe_commit(commit)

    store.log.on_commit(tell)
    bounds = Bounds(timeout_seconds=config.answer_timeout_ms / 1000)
    pump = Pump(core, store.log, cases.asks, answers, bounds)
    metrics.read_core(core)
    metrics.read_lanes(pump.lanes)
    node = Node(DrainTimes(config.drain_window_ms, config.drain_notice_ms))
    operations = Operations(
        store.accounts, store.sessions, store.rooms, tokens, store.log, node.leaving.set
    )

    async def prepare() -> None:
        if not config.production:
            await operations.ensure_room(LOBBY, "Lobby")

    node.assemble(
        Parts(
            store=store,
            sockets=core,
            gateway=answers,
            pump=pump,
            admin=AdminServer(config.admin_socket, operations),
            prepare=prepare,
            close_pools=passwords.close,
        )
    )
    services = _services(config, cases, node, metrics)
    return Built(node, create_app(services), MetricsEndpoint(metrics))


def _services(config: Config, cases: UseCases, node: Node, metrics: Metrics) -> Services:
    def seen(response: ResponseSeen) -> None:
        metrics.observe_request(response.method, response.route, response.status, response.seconds)
        _log.debug("request", **response._asdict())

    def failed(request_id: str, error: Exception) -> None:
        _log.error("request failed", request_id=request_id, exc_info=error)

    return Services(
        cases=cases,
        scanner=CoreScanner(),
        health=node.health,
        ready=node.ready,
        metrics=metrics.render,
        rates=NodeRequestRates(SystemClock()) if config.rate_limits else None,
        origins=frozenset(config.allowed_origins),
        sockets=config.socket_origins,
        trusted_proxies=tuple(map(ipaddress.ip_network, config.trusted_proxies)),
        expose_metrics=not config.production,
        on_response=seen,
        on_failure=failed,
    )


def _open(config: Config) -> SqliteStore:
    points = {
        name: (point.action, point.nth)
        for name, point in config.failpoints.items()
        if name.startswith("store.")
    }
    return open_store(
        config.data_dir,
        synchronous=config.sqlite_synchronous,
        accept_rollback=config.accept_rollback,
        failpoints=points,
    )


def _core_settings(config: Config, epoch: str) -> CoreSettings:
    mid_fanout = config.failpoints.get("hub.mid_fanout")
    return CoreSettings(
        host=config.host,
        port=config.ws_port,
        epoch=epoch,
        shards=config.shards,
        origins=config.allowed_origins,
        trusted_proxies=config.trusted_proxies,
        ping_ms=config.ping_ms,
        deflate=config.deflate,
        rate_limits=config.rate_limits,
        subscriptions_max=config.subscriptions_max,
        connections_max=config.connections_max,
        connections_per_address_max=config.connections_per_address,
        handshakes_per_address_max=config.handshakes_per_address_max,
        recent_bytes_max=config.recent_bytes_max,
        outgoing_bytes_max=config.outgoing_bytes_max,
        drain_notice_ms=config.drain_notice_ms,
        failpoint_mid_fanout=0 if mid_fanout is None else mid_fanout.nth,
    )
