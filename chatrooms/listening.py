"""Ports before anything listens: each is tried once, so that a taken one is said in a sentence."""

import errno
import ipaddress
import socket


class PortTaken(Exception):  # noqa: N818 -- a finding, not a fault
    """A port cannot be listened on; the message is one sentence."""


def probe(host: str, port: int) -> None:
    """Binds and lets go, without SO_REUSEPORT, which would share a stranger's port in silence."""
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        # Connections of a node that was just killed may linger in TIME_WAIT; they are no obstacle.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
            trial.listen(1)
        except OSError as error:
            raise PortTaken(f"{_reason(error)} {host}:{port}") from None


def reachable_host(host: str) -> str:
    """Where a process on this machine reaches a listener on `host`, the wildcards included."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004


def authority(host: str, port: int) -> str:
    """`host:port` as it stands in a URL (RFC 3986 section 3.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process listens on"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no address"
    if error.errno == errno.EACCES:
        return "this user may not listen on"
    return f"cannot listen ({error.strerror}) on"
