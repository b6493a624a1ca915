"""The documents of the interface: Swagger UI from the package, OpenAPI, AsyncAPI."""

from importlib import resources
from typing import Final

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

router = APIRouter(include_in_schema=False)

_ASSETS: Final = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chat Rooms API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
_CACHED: Final = {"Cache-Control": "public, max-age=3600"}


@router.get("/")
async def root() -> RedirectResponse:
    """Leads to the documentation until the web client comes."""
    return RedirectResponse("/docs", 307)


@router.get("/docs")
async def page() -> Response:
    """Swagger UI; nothing of it comes from elsewhere, and no script is inline."""
    return Response(_PAGE, media_type="text/html")


@router.get("/docs/start.js")
async def start() -> Response:
    """Points Swagger UI at this server's OpenAPI document."""
    return Response(_START, media_type="text/javascript", headers=_CACHED)


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """A file of the Swagger UI package."""
    if name not in _ASSETS:
        raise HTTPException(404)
    content = resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()
    return Response(content, media_type=_ASSETS[name], headers=_CACHED)


@router.get("/asyncapi.json")
async def asyncapi() -> Response:
    """The WebSocket protocol as an AsyncAPI document."""
    document = resources.files("chatrooms.api").joinpath("asyncapi.json")
    if not document.is_file():
        raise HTTPException(404)
    return Response(document.read_bytes(), media_type="application/json")
