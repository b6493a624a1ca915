"""Whose request this is: the peer, or what a trusted proxy says of it."""

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

from chatrooms.api.services import Network

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPV6_SITE_BITS = 64


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address nearest to us that is no trusted proxy.

    `forwarded` is the value of X-Forwarded-For; read from the right, because the left end is
    whatever the client wrote. What does not parse ends the walk.
    """
    current = parse(peer)
    if current is None or not _within(current, trusted):
        return peer
    for hop in reversed(forwarded.split(",")):
        address = parse(hop.strip())
        if address is None:
            break
        current = address
        if not _within(current, trusted):
            break
    return str(current)


def rate_key(address: str) -> str:
    """One key for a household: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
    return address


def parse(text: str) -> Address | None:
    """The address, IPv4 when mapped into IPv6; None for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
