"""The metrics of a node in Prometheus text: counted here for Python, read from the core for it."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from chatrooms.ports.log import Commit

PREFIX: Final = "chat"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
GAUGES: Final[Mapping[str, str]] = {
    "backlog_bytes": "Bytes that wait to be written to clients.",
    "connections": "Connections open now.",
    "recent_bytes": "Bytes of recent events kept for fast resume.",
    "rooms": "Rooms held in memory.",
}
COUNTERS: Final[Mapping[str, tuple[str, str]]] = {
    "deliver_calls": ("deliver_calls", "Calls that handed a commit to the core."),
    "deliveries": ("deliveries", "Events handed to subscribers."),
    "errors": ("errors", "`err` replies."),
    "gaps": ("gaps", "`gap` events told."),
    "handshakes": ("handshakes", "Handshakes answered with 101."),
    "messages_in": ("messages_in", "WebSocket messages received."),
    "opened": ("connections_opened", "Connections accepted."),
    "panics": ("panics", "Connections closed because their code panicked."),
    "repairs": ("repairs", "Holes in a room's events that were read again from the log."),
    "resumes_epoch": ("resumes_epoch", "Resumes told `epoch`: the log was replaced."),
    "resumes_gap": ("resumes_gap", "Resumes told `gap`: too far behind."),
    "resumes_recovered": ("resumes_recovered", "Resumes that got all they had missed."),
    "sends": ("sends", "`send` ops accepted from sockets."),
    "shed": ("shed", "Ephemeral events dropped for slow readers."),
    "signals": ("signals", "`signal` ops accepted."),
    "slow_consumers": ("slow_consumers", "Connections closed with 4108."),
}
"""Name in the core -> (exported name, help)."""
HISTOGRAMS: Final[Mapping[str, str]] = {
    "receipt_to_commit_seconds": "From receipt of a `send` to its commit being told.",
    "ack_seconds": "From receipt of a `send` to the write of its `ok`.",
    "commit_to_last_write_seconds": "From a commit being told to its last subscriber's write.",
}
_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
_EVENTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class CoreReadings(Protocol):
    """The numbers of the data plane; each call costs microseconds."""

    def counters(self) -> Mapping[str, int]:
        """Totals and gauges by name without prefix; GAUGES says which are which."""
        ...

    def closes(self) -> Mapping[int, int]:
        """Connections closed, by close code; 0 when none was sent."""
        ...

    def histograms(self) -> Mapping[str, tuple[list[float], list[int], float]]:
        """Name -> (upper bounds in seconds, counts with one more for +Inf, sum in seconds)."""
        ...


class LaneReadings(Protocol):
    """The numbers of one lane of the pump."""

    name: str
    timeouts: int
    failures: int

    @property
    def items(self) -> int:
        """Items at work now."""
        ...


class Metrics:
    """One registry a node. Labels are bounded: no rooms, no users."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._commit_seconds = self._histogram(
            "commit_seconds", "Time of a store transaction.", _SECONDS
        )
        self._commit_posts = self._histogram(
            "commit_posts", "Messages answered by one store transaction.", _EVENTS
        )
        self._commit_refused = Counter(
            "commit_refused", "Messages refused inside a transaction.",
            namespace=PREFIX, registry=self._registry,
        )  # fmt: skip
        self._http_seconds = Histogram(
            "http_request_seconds", "Response time of REST, by route template.",
            ("method", "route"), namespace=PREFIX, registry=self._registry, buckets=_SECONDS,
        )  # fmt: skip
        self._http_requests = Counter(
            "http_requests", "REST requests answered, by route template and status.",
            ("method", "route", "status"), namespace=PREFIX, registry=self._registry,
        )  # fmt: skip

    def observe_commit(self, commit: Commit) -> None:
        """Counts one transaction of the store."""
        self._commit_seconds.observe(commit.seconds)
        self._commit_posts.observe(len(commit.outcomes))
        refused = sum(isinstance(outcome, Exception) for _, outcome in commit.outcomes)
        if refused:
            self._commit_refused.inc(refused)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one REST request; `route` is the template, never the path."""
        self._http_seconds.labels(method, route).observe(seconds)
        self._http_requests.labels(method, route, str(status)).inc()

    def read_core(self, core: CoreReadings) -> None:
        """Adds the data plane's numbers to every scrape."""
        self._registry.register(_CoreCollector(core))

    def read_lanes(self, lanes: Iterable[LaneReadings]) -> None:
        """Adds the pump's numbers to every scrape."""
        self._registry.register(_LaneCollector(tuple(lanes)))

    def render(self) -> bytes:
        """The whole registry as Prometheus text (CONTENT_TYPE)."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, namespace=PREFIX, registry=self._registry, buckets=buckets)


class _CoreCollector(Collector):
    def __init__(self, core: CoreReadings) -> None:
        self._core = core

    def collect(self) -> Iterable[Metric]:
        for name, value in sorted(self._core.counters().items()):
            if name in GAUGES:
                yield GaugeMetricFamily(f"{PREFIX}_{name}", GAUGES[name], value=value)
            else:
                exported, text = COUNTERS.get(name, (name, f"`{name}` of the core."))
                yield CounterMetricFamily(f"{PREFIX}_{exported}", text, value=value)
        closes = CounterMetricFamily(
            f"{PREFIX}_connections_closed", "Connections closed, by code; 0: none.", labels=["code"]
        )
        for code, count in sorted(self._core.closes().items()):
            closes.add_metric([str(code)], count)
        yield closes
        for name, (bounds, counts, total) in sorted(self._core.histograms().items()):
            yield HistogramMetricFamily(
                f"{PREFIX}_{name}",
                HISTOGRAMS.get(name, f"`{name}` of the core."),
                buckets=_cumulative(bounds, counts),
                sum_value=total,
            )

    def describe(self) -> Iterable[Metric]:
        """Nothing: what the core counts is known when it runs."""
        return ()


class _LaneCollector(Collector):
    def __init__(self, lanes: tuple[LaneReadings, ...]) -> None:
        self._lanes = lanes

    def collect(self) -> Iterable[Metric]:
        items = GaugeMetricFamily(
            f"{PREFIX}_ingress_items", "Ops at work now, by lane.", labels=["lane"]
        )
        timeouts = CounterMetricFamily(
            f"{PREFIX}_ingress_timeouts", "Ops answered `timeout`.", labels=["lane"]
        )
        failures = CounterMetricFamily(
            f"{PREFIX}_ingress_failures", "Ops answered `internal`.", labels=["lane"]
        )
        for lane in self._lanes:
            items.add_metric([lane.name], lane.items)
            timeouts.add_metric([lane.name], lane.timeouts)
            failures.add_metric([lane.name], lane.failures)
        return (items, timeouts, failures)


def _cumulative(bounds: list[float], counts: list[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: (upper bound, count of all at most that)."""
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
