"""Rates and addresses: who is counted, and what a refusal says."""

import ipaddress
from pathlib import Path

import pytest

from chatrooms.api.addresses import client_address, rate_key
from chatrooms.domain.rate import Rate
from tests.fakes.world import World, open_world

SLOW = dict.fromkeys(("address", "login", "user", "post_user", "post_room"), Rate(1.0, 1000))
TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize("bucket", ["address", "user"])
async def test_refusal_says_when_to_come_back(tmp_path: Path, bucket: str) -> None:
    """429 with Retry-After and both RateLimit fields; allowed again after that time."""
    async with open_world(tmp_path, rates=SLOW | {bucket: Rate(0.5, 3)}) as world:
        token = world.tokens.issue("u1", "s1", 900)
        session = (await world.store.sessions.start_many(["u1"], "test"))[0]
        token = world.tokens.issue("u1", session.id, 900)
        headers = {"Authorization": f"Bearer {token}"}

        async def ask() -> tuple[int, dict[str, str]]:
            answer = await world.http.get("/v1/rooms", headers=headers)
            return answer.status_code, dict(answer.headers)

        statuses = [(await ask())[0] for _ in range(4)]
        refused, fields = await ask()
        assert statuses[3] == refused == 429
        assert 429 not in statuses[:3]
        assert fields["retry-after"] == "2"
        assert fields["ratelimit-policy"] == f'"{bucket}";q=3;w=6'
        assert fields["ratelimit"] == f'"{bucket}";r=0;t=6'
        assert (await world.http.get("/healthz")).status_code == 200
        world.clock.pass_seconds(2)
        assert (await ask())[0] != 429


async def test_posts_are_counted_per_user_and_room(tmp_path: Path) -> None:
    """A flooded room refuses, with a code that says to try again with the same key."""
    async with open_world(tmp_path, rates=SLOW | {"post_room": Rate(1.0, 2)}) as world:
        ada = await world.person("ada")
        room = await world.room(ada)
        answers = [await world.post(ada, room, f"c{each}") for each in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert answers[2].json()["retry"] is True
        world.clock.pass_seconds(1)
        assert (await world.post(ada, room, "c2")).status_code == 201


async def _addresses_seen(world: World, forwarded: list[str]) -> list[int]:
    """The statuses of one request each that claims to come from an address."""
    return [
        (await world.http.get("/v1/x", headers={"X-Forwarded-For": address})).status_code
        for address in forwarded
    ]


async def test_forwarded_address_counts_only_from_a_trusted_proxy(tmp_path: Path) -> None:
    """A client cannot escape its rate by inventing addresses."""
    claims = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    rates = SLOW | {"address": Rate(1.0, 2)}
    async with open_world(tmp_path / "a", rates=rates) as world:
        assert await _addresses_seen(world, claims) == [404, 404, 429]
    proxies = (ipaddress.ip_network("127.0.0.1"),)
    async with open_world(tmp_path / "b", rates=rates, trusted_proxies=proxies) as world:
        assert await _addresses_seen(world, claims) == [404, 404, 404]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1, junk", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_client_is_the_nearest_untrusted_hop(peer: str, forwarded: str, client: str) -> None:
    """Read from the right, because a client writes the left end itself."""
    assert client_address(peer, forwarded, TRUSTED) == client


def test_ipv6_addresses_of_one_site_share_a_rate() -> None:
    """A /64 belongs to one customer, who could use 2**64 addresses."""
    assert rate_key("2001:db8::1") == rate_key("2001:db8::ffff") == "2001:db8::/64"
    assert rate_key("2001:db8:0:1::1") != rate_key("2001:db8::1")
    assert rate_key("192.0.2.1") == "192.0.2.1"
