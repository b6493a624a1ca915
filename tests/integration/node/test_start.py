"""Starting: what is announced, what is refused in one sentence, and what is usable at once."""

import socket
import sqlite3
from contextlib import closing

import pytest

from tests.integration.conftest import MakeNode
from tests.integration.running import RunningNode


def said(node: RunningNode, *args: str) -> str:
    """The one sentence of a node that refuses to start, with exit code 2."""
    done = node.cli("serve", *args)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("chatrooms: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_banner_says_what_to_type_next(node: RunningNode) -> None:
    """The addresses, the data directory, and the chat command of this node's ports."""
    text = node.log()
    assert f"{node.rest_url}/docs" in text
    assert str(node.data_dir) in text
    assert f"chat lobby --url {node.ws_url} --rest-url {node.rest_url} --user ada" in text


@pytest.mark.parametrize("port", ["http_port", "ws_port"])
def test_port_in_use_is_one_sentence(make_node: MakeNode, port: str) -> None:
    """Also where the other one shares its port (SO_REUSEPORT), as granian does."""
    node = make_node()
    number = getattr(node, port)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", number))
        other.listen()
        assert f"another process listens on 127.0.0.1:{number}" in said(node)
    assert not node.data_dir.exists()


def test_data_directory_in_use_is_one_sentence(node: RunningNode, make_node: MakeNode) -> None:
    """A second node on other ports would have two writers; the lock says who holds it."""
    sentence = said(make_node(), "--data-dir", str(node.data_dir))
    assert str(node.pid) in sentence
    with node.rest() as rest:
        assert rest.get("/readyz").status_code == 200


def test_file_that_is_no_database_is_one_sentence(make_node: MakeNode) -> None:
    """Nothing is overwritten."""
    node = make_node()
    node.data_dir.mkdir()
    database = node.data_dir / "chat.db"
    database.write_bytes(b"a shopping list" * 100)
    assert "chat.db" in said(node)
    assert database.read_bytes() == b"a shopping list" * 100


def test_rolled_back_database_is_refused_until_accepted(make_node: MakeNode) -> None:
    """Acked messages are missing: that is never passed over in silence."""
    node = make_node()
    node.start()
    [token] = node.tokens("ada")
    assert node.stop() == 0
    with closing(sqlite3.connect(node.data_dir / "chat.db")) as database:
        database.execute("DELETE FROM events WHERE pos > 1")
        database.commit()
    assert "--accept-rollback" in said(node)
    node.environment["CHATROOMS_ACCEPT_ROLLBACK"] = "true"
    node.start()
    with node.rest(token) as rest:
        assert rest.get("/v1/users/me").status_code == 200


def test_production_refuses_failpoints(make_node: MakeNode) -> None:
    """Crash switches are for tests."""
    node = make_node(mode="production", failpoints="store.mid_commit=abort@1")
    assert "failpoints are refused in production mode" in said(node)


def test_production_makes_no_demo_room(make_node: MakeNode) -> None:
    """The lobby is for newcomers."""
    node = make_node(mode="production")
    node.start()
    [token] = node.tokens("ada")
    with node.rest(token) as rest:
        assert rest.get("/v1/rooms/lobby").status_code == 404


def test_lobby_is_there_in_development(shared_node: RunningNode) -> None:
    """And everybody may join."""
    [token] = shared_node.tokens("lobby-ada")
    with shared_node.rest(token) as rest:
        assert rest.post("/v1/rooms/lobby/join").status_code == 200
