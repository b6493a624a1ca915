"""Routes for machines: health, readiness, metrics."""

import inspect

import orjson
from fastapi import APIRouter, Response

from chatrooms.api.routing import Given, problems

router = APIRouter(tags=["system"])
metrics_router = APIRouter(tags=["system"])
_REFUSED = problems(common=(400, 500))
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


@router.get("/healthz", responses=_REFUSED)
async def health(given: Given) -> dict[str, object]:
    """Answers while the process lives: node, pid, version."""
    return given.health()


@router.get(
    "/readyz",
    response_class=Response,
    responses={
        503: {"description": "Starting, draining, or the store does not answer"},
        **_REFUSED,
    },
)
async def ready(given: Given) -> Response:
    """200 only when both ports listen and the store answers; 503 while draining."""
    answer = given.ready()
    good = await answer if inspect.isawaitable(answer) else answer
    return _json({"ready": bool(good)}, 200 if good else 503)


@metrics_router.get("/metrics", response_class=Response, responses=_REFUSED)
async def metrics(given: Given) -> Response:
    """Prometheus text."""
    return Response(given.metrics(), media_type=METRICS_TYPE)
