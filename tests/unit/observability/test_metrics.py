"""Metrics: what is counted here and what is read from the core, as Prometheus text."""

from collections.abc import Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

from chatrooms.domain.errors import Code, Refusal
from chatrooms.observability.endpoint import MetricsEndpoint
from chatrooms.observability.metrics import Metrics
from chatrooms.ports.log import Commit, Post, Stored


class Core:
    """Numbers as the core gives them."""

    def counters(self) -> Mapping[str, int]:
        """A gauge, a renamed counter and one that this version does not know."""
        return {"connections": 5, "opened": 9, "novel": 2}

    def closes(self) -> Mapping[int, int]:
        """By code."""
        return {0: 1, 4108: 3}

    def histograms(self) -> Mapping[str, tuple[list[float], list[int], float]]:
        """Counts a bucket, not cumulative."""
        return {"receipt_to_commit_seconds": ([0.1, 1.0], [4, 2, 1], 3.5)}


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample by name and labels, through a real parser."""
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sample.labels.items()): (
            sample.value
        )
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_core_numbers_are_gauges_counters_and_histograms() -> None:
    """Cumulative buckets, `_total` for counters, and unknown names are not lost."""
    metrics = Metrics()
    metrics.read_core(Core())
    found = samples(metrics)
    assert found["chat_connections"] == 5
    assert found["chat_connections_opened_total"] == 9
    assert found["chat_novel_total"] == 2
    assert found["chat_connections_closed_total{code=4108}"] == 3
    buckets = "chat_receipt_to_commit_seconds_bucket"
    assert [found[f"{buckets}{{le={le}}}"] for le in ("0.1", "1.0", "+Inf")] == [4, 6, 7]
    assert found["chat_receipt_to_commit_seconds_count"] == 7
    assert found["chat_receipt_to_commit_seconds_sum"] == 3.5


def test_commit_counts_posts_and_refusals() -> None:
    """A refused post is an answer of the transaction, too."""
    post = Post("r", "u", "c", "{}", None, None)
    metrics = Metrics()
    metrics.observe_commit(
        Commit((), ((post, Stored(1, 1, 1, dup=False)), (post, Refusal(Code.BANNED))), 0.002)
    )
    found = samples(metrics)
    assert found["chat_commit_posts_sum"] == 2
    assert found["chat_commit_refused_total"] == 1
    assert found["chat_commit_seconds_count"] == 1


def test_requests_are_counted_by_template_and_status() -> None:
    """Never by path: a room id is no label."""
    metrics = Metrics()
    metrics.observe_request("GET", "/v1/rooms/{room}", 404, 0.01)
    found = samples(metrics)
    name = "chat_http_requests_total{method=GET}{route=/v1/rooms/{room}}{status=404}"
    assert found[name] == 1


async def test_endpoint_serves_metrics_and_nothing_else() -> None:
    """The admin port has one path."""
    transport = httpx.ASGITransport(MetricsEndpoint(Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        found = await client.get("/metrics")
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b"chat_commit_seconds" in found.content
        head = await client.head("/metrics")  # CPU seconds may have grown a digit since
        assert (int(head.headers["content-length"]) > 0, head.content) == (True, b"")
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/metrics")).headers["allow"] == "GET, HEAD"
