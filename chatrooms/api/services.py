"""What the API is given: use cases, limits, and callables of the process around it."""

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from chatrooms.app.use_cases import UseCases
from chatrooms.ports.limits import RequestRates
from chatrooms.ports.scanner import Scanner

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class ResponseSeen(NamedTuple):
    """One answered request, for metrics and the access log.

    `method` and `route` (the template, "unmatched" for none) are of a bounded set.
    """

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    address: str


def _ignore_response(_: ResponseSeen) -> None:
    """The default: nobody counts."""


def _ignore_failure(_request_id: str, _error: Exception) -> None:
    """The default: nobody logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that `create_app` needs; nothing is read from the environment.

    `health` is answered as JSON. `ready` may look at the store, so it may be awaitable. `metrics`
    is Prometheus text. `rates` None turns rates off, and rates only. `origins` are exact origins
    (scheme, host, port) for CORS. `sockets` are the WebSocket origins that a page served here may
    connect to. Only peers in `trusted_proxies` may name another address by X-Forwarded-For.
    `on_failure` gets what was answered with 500.
    """

    cases: UseCases
    scanner: Scanner
    health: Callable[[], dict[str, object]]
    ready: Callable[[], bool | Awaitable[bool]]
    metrics: Callable[[], bytes]
    rates: RequestRates | None = None
    origins: frozenset[str] = frozenset()
    sockets: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    expose_metrics: bool = True
    on_response: Callable[[ResponseSeen], None] = _ignore_response
    on_failure: Callable[[str, Exception], None] = _ignore_failure
