"""Which pages may open sockets, shown in a real browser: it sends Origin and obeys policies."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import pytest_asyncio

from tests.integration.conftest import MakeNode
from tests.integration.conversation.dialers import Closed, Dialer, open_dialer
from tests.integration.conversation.peer import Peer
from tests.integration.running import RunningNode

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(240)]

Browse = Callable[[str], Awaitable[Dialer]]


class _Page(BaseHTTPRequestHandler):
    """An empty page without any policy of its own."""

    def do_GET(self) -> None:
        content = b"<!doctype html><title>elsewhere</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name
        """Be quiet."""


@contextmanager
def _site() -> Iterator[str]:
    """A web site that is not the node's: its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of another site on this machine."""
    with _site() as origin:
        yield origin


@pytest_asyncio.fixture
async def browse(checkout: Path, tmp_path: Path) -> AsyncIterator[Browse]:
    """Opens a page in a browser of its own; sockets are dialled from there."""
    async with AsyncExitStack() as stack:
        pages = 0

        async def make(page: str) -> Dialer:
            nonlocal pages
            pages += 1
            home = tmp_path / f"browser-{pages}"
            dialing = open_dialer("chromium", checkout / "tests" / "js", home, page)
            return await stack.enter_async_context(dialing)

        yield make


async def _is_welcome(dialer: Dialer, node: RunningNode, host: str = "127.0.0.1") -> None:
    peer = Peer("ada", await dialer.dial(f"ws://{host}:{node.ws_port}/ws"))
    [token] = node.tokens("ada")
    assert (await peer.hello(token))["t"] == "welcome"
    await peer.leave()


@pytest.mark.parametrize(
    ("host", "page"), [("127.0.0.1", "/docs"), ("127.0.0.1", "/healthz"), ("localhost", "/docs")]
)
async def test_page_of_the_rest_port_may_open_sockets(
    host: str, page: str, node: RunningNode, browse: Browse
) -> None:
    """Neither the handshake nor the page's own Content-Security-Policy stands in the way."""
    dialer = await browse(f"http://{host}:{node.http_port}{page}")
    await _is_welcome(dialer, node, host)


async def test_page_of_another_site_is_refused_until_it_is_listed(
    elsewhere: str, make_node: MakeNode, browse: Browse
) -> None:
    """The browser is told no more than 1006; CHATROOMS_ORIGINS lets it in, in place of others."""
    closed_node, open_node = make_node(), make_node(origins=elsewhere)
    for node in (closed_node, open_node):
        node.start()
    stranger = await browse(elsewhere)
    with pytest.raises(Closed, match="1006"):
        await stranger.dial(closed_node.ws_url)
    await _is_welcome(stranger, open_node)
    own_page = await browse(f"{open_node.rest_url}/docs")
    with pytest.raises(Closed, match="1006"):
        await own_page.dial(open_node.ws_url)
