"""Operating a running node: commands beside it, metrics, logs, and the admin socket."""

import asyncio
import json
import socket
import stat
import sys

import httpx
import pytest

from tests.integration.conftest import MakeNode
from tests.integration.running import RunningNode
from tests.integration.talk import Talker


def scrape(url: str) -> dict[str, float]:
    """Prometheus text as sample -> value."""
    text = httpx.get(url, trust_env=False).raise_for_status().text
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


async def scrape_until(url: str, name: str, value: float) -> dict[str, float]:
    """Scrapes until a sample has its value: shards publish theirs ten times a second."""
    async with asyncio.timeout(10):
        while (samples := scrape(url)).get(name) != value:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.02)
    return samples


def test_tokens_come_one_a_line(shared_node: RunningNode) -> None:
    """NAME alone, or NAME-0 … NAME-(N-1); each is a session of its own user."""
    [single] = shared_node.tokens("tok")
    many = shared_node.tokens("tok", 3)
    assert len({single, *many}) == 4
    names = []
    for token in [single, *many]:
        with shared_node.rest(token) as rest:
            names.append(rest.get("/v1/users/me").json()["username"])
    assert names == ["tok", "tok-0", "tok-1", "tok-2"]


def test_negative_ttl_makes_an_expired_token(shared_node: RunningNode) -> None:
    """For tests of clients that must renew."""
    token = shared_node.cli("token", "--user", "old", "--ttl", "-1").stdout.strip()
    with shared_node.rest(token) as rest:
        answer = rest.get("/v1/users/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


def test_bad_username_is_one_sentence(shared_node: RunningNode) -> None:
    """The node's refusal reaches the shell."""
    done = shared_node.cli("token", "--user", "Not A Name")
    assert done.returncode == 1
    assert done.stderr == "chatrooms: 3 to 32 of the characters a-z 0-9 . _ -\n"


def test_room_has_all_users_of_the_prefix(shared_node: RunningNode) -> None:
    """And prints its id alone, for scripts."""
    [token, *_] = shared_node.tokens("mem", 5)
    done = shared_node.cli("room", "--name", "Members", "--members-prefix", "mem-")
    [room] = done.stdout.split()
    with shared_node.rest(token) as rest:
        page = rest.get(f"/v1/rooms/{room}/members").json()
    people = {member["username"] for members in page.values() for member in members or ()}
    assert people == {"system", *(f"mem-{number}" for number in range(5))}


def test_commands_work_without_a_node(make_node: MakeNode) -> None:
    """On the database itself; what they made is there when a node starts."""
    node = make_node()
    [token] = node.tokens("early")
    assert node.cli("verify").returncode == 0
    node.start()
    with node.rest(token) as rest:
        assert rest.get("/v1/users/me").json()["username"] == "early"


def test_doctor_knows_the_running_node(shared_node: RunningNode) -> None:
    """Its own ports are no obstacle."""
    done = shared_node.cli("doctor")
    assert done.returncode == 0, done.stdout
    assert "a node runs here" in " ".join(done.stdout.split())


def test_admin_socket_is_for_its_user_alone(shared_node: RunningNode) -> None:
    """Mode 0600."""
    mode = (shared_node.data_dir / "admin.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"op":"dance"}', "unknown_op"),
        (b"[]", "bad_request"),
        (b"{", "bad_request"),
        (b'{"op":"token"}', "bad_request"),
        (b'{"op":"token","user":"ada","count":1000000}', "bad_request"),
        (b'{"op":"token","user":"ada","ttl":"x"}', "bad_request"),
    ],
)
def test_admin_socket_refuses_nonsense_and_lives_on(
    shared_node: RunningNode, line: bytes, code: str
) -> None:
    """The next line of the same connection is served."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(shared_node.data_dir / "admin.sock"))
        with peer.makefile("rwb") as talk:
            talk.write(line + b"\n")
            talk.flush()
            assert json.loads(talk.readline())["refused"]["code"] == code
            talk.write(b'{"op":"verify"}\n')
            talk.flush()
            assert "item" in json.loads(talk.readline())


def test_endless_admin_line_ends_that_connection_only(shared_node: RunningNode) -> None:
    """A bound on what is read, and the node serves the next one."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(shared_node.data_dir / "admin.sock"))
        try:
            peer.sendall(b"x" * 1_000_000)
            assert peer.recv(1) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert shared_node.tokens("after-endless")


async def test_metrics_count_what_happened(node: RunningNode) -> None:
    """Connections, sends, commits, requests and the process, without rooms or users in labels."""
    [token] = node.tokens("ada")
    async with Talker(node.ws_url, token) as ada:
        with node.rest(token) as rest:
            rest.post("/v1/rooms/lobby/join").raise_for_status()
        await ada.ask("sub", room="lobby")
        for number in range(3):
            await ada.send("lobby", "x", f"c{number}")
        await ada.messages("lobby", 3)
        samples = await scrape_until(f"{node.rest_url}/metrics", "chat_sends_total", 3)
        assert samples["chat_connections"] == 1
    assert samples["chat_commit_posts_sum"] == 3
    assert samples["chat_receipt_to_commit_seconds_count"] == 3
    assert samples["chat_ack_seconds_count"] == 3
    assert samples["chat_ack_seconds_sum"] >= samples["chat_receipt_to_commit_seconds_sum"]
    joined = 'chat_http_requests_total{method="POST",route="/v1/rooms/{room}/join",status="200"}'
    assert samples[joined] == 1
    assert samples["chat_process_resident_memory_bytes"] > 0
    assert not [name for name in samples if "`" in name or "lobby" in name or "ada" in name]


async def test_fan_out_crosses_into_the_core_once_a_commit(make_node: MakeNode) -> None:
    """However many listen: the crossings of a message to fifty are those of a message to one."""
    node = make_node(rate_limits="off")
    node.start()
    tokens = node.tokens("fan", 50)
    room = node.cli("room", "--name", "Fan", "--members-prefix", "fan").stdout.strip()
    talkers = [Talker(node.ws_url, token) for token in tokens]
    for talker in talkers:
        await talker.__aenter__()
        await talker.ask("sub", room=room)
    before = scrape(f"{node.rest_url}/metrics")
    for number in range(10):
        await talkers[0].send(room, "x", f"c{number}")
    for talker in talkers:
        await talker.messages(room, 10)
    after = scrape(f"{node.rest_url}/metrics")
    for talker in talkers:
        await talker.__aexit__(None, None, None)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["chat_deliver_calls_total"] == grown["chat_commit_posts_count"] == 10


def test_production_shows_metrics_on_the_admin_port_only(make_node: MakeNode) -> None:
    """S16, and nothing else is there."""
    node = make_node(mode="production")
    node.start()
    admin = f"http://127.0.0.1:{node.admin_port}"
    assert scrape(f"{admin}/metrics")["chat_connections"] == 0
    with node.rest() as rest:
        assert rest.get("/metrics").status_code == 404
    with httpx.Client(base_url=admin, trust_env=False) as other:
        assert other.get("/docs").status_code == 404
        assert other.post("/metrics").status_code == 405
        assert other.head("/metrics").content == b""
    assert node.stop() == 0


def test_production_logs_json_lines(make_node: MakeNode) -> None:
    """Each line an object, ours and those of libraries."""
    node = make_node(mode="production")
    node.start()
    assert node.stop() == 0
    records = [json.loads(line) for line in node.log().splitlines() if line.startswith("{")]
    assert [record["event"] for record in records if record["logger"] == "chatrooms.node"] == [
        "node started",
        "draining",
        "drained",
        "node stopped",
    ]


async def test_no_text_and_no_token_is_logged(make_node: MakeNode) -> None:
    """At the chattiest level, too."""
    node = make_node(log_level="debug")
    node.start()
    [token] = node.tokens("ada")
    with node.rest(token) as rest:
        rest.post("/v1/rooms/lobby/join").raise_for_status()
        answer = rest.post(
            "/v1/auth/register", json={"username": "grace", "password": "hunter2 the second"}
        )
        assert answer.status_code == 201
    async with Talker(node.ws_url, token) as ada:
        await ada.send("lobby", "a very private thing", "c1")
    assert node.stop() == 0
    text = node.log()
    assert "/v1/rooms/{room}/join" in text
    for secret in (token, "hunter2", "a very private thing"):
        assert secret not in text


def test_reader_that_goes_away_ends_the_command_quietly(shared_node: RunningNode) -> None:
    """`chatrooms token --count 3000 | head -1` is no failure worth a traceback."""
    done = shared_node.run(
        ["bash", "-c", f"{sys.executable} -m chatrooms token --user gone --count 3000 | head -1"]
    )
    assert len(done.stdout.splitlines()) == 1
    assert not done.stderr
