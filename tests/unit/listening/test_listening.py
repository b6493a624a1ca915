"""Ports before anything listens, and how addresses stand in URLs."""

import socket

import pytest

from chatrooms.listening import PortTaken, authority, probe, reachable_host


def test_free_port_is_free_again_after_the_probe() -> None:
    """The probe leaves nothing behind."""
    with socket.create_server(("127.0.0.1", 0)) as trial:
        port = trial.getsockname()[1]
    probe("127.0.0.1", port)
    probe("127.0.0.1", port)


def test_port_of_a_wildcard_listener_is_taken_on_loopback() -> None:
    """Whoever listens on all addresses listens on this one."""
    with socket.create_server(("0.0.0.0", 0)) as other:  # noqa: S104 -- what is tested
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"another process listens on 127.0.0.1:{port}"):
            probe("127.0.0.1", port)


def test_foreign_address_is_named() -> None:
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    with pytest.raises(PortTaken, match=r"this machine has no address 192\.0\.2\.1:8000"):
        probe("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")],  # noqa: S104
)
def test_wildcard_is_reached_by_loopback(host: str, reached: str) -> None:
    """What the banner prints must be something to connect to."""
    assert reachable_host(host) == reached


def test_authority_brackets_ipv6() -> None:
    """RFC 3986 section 3.2.2."""
    assert authority("::1", 8000) == "[::1]:8000"
    assert authority("127.0.0.1", 8000) == "127.0.0.1:8000"
