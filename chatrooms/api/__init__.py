"""The REST API, a driving adapter: `create_app` makes an ASGI application over use cases."""

from chatrooms.api.app import create_app
from chatrooms.api.services import ResponseSeen, Services

__all__ = ["ResponseSeen", "Services", "create_app"]
