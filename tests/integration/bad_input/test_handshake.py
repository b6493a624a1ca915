"""Bad opening handshakes: the plain HTTP answer to each, and who may stay."""

import json

import pytest

from tests.integration.bad_input.scene import Scene
from tests.integration.bad_input.wire import KEY, MARKER, Raw, head

Changes = dict[str, str | None]

UPGRADE_REQUIRED: dict[str, bytes] = {
    "no upgrade": head({"Upgrade": None}),
    "other upgrade": head({"Upgrade": f"h2c-{MARKER}"}),
    "no connection": head({"Connection": None}),
    "connection keep-alive": head({"Connection": "keep-alive"}),
    "HTTP/1.0": head(start="GET /ws HTTP/1.0"),
    "version 8": head({"Sec-WebSocket-Version": "8"}),
    "version 013": head({"Sec-WebSocket-Version": "013"}),
    "version twice": head(extra="Sec-WebSocket-Version: 13\r\n"),
    "no version": head({"Sec-WebSocket-Version": None}),
}

BAD_REQUEST: dict[str, bytes] = {
    "no key": head({"Sec-WebSocket-Key": None}),
    "key of 15 bytes": head({"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}),
    "key of 17 bytes": head({"Sec-WebSocket-Key": "A" * 24}),
    "key not base64": head({"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}),
    "key twice": head(extra=f"Sec-WebSocket-Key: {KEY}\r\n"),
    "no host": head({"Host": None}),
    "host twice": head(extra="Host: 127.0.0.1\r\n"),
    "no subprotocol": head({"Sec-WebSocket-Protocol": None}),
    "other subprotocol": head({"Sec-WebSocket-Protocol": f"chat.v2, {MARKER}"}),
    "subprotocol in other case": head({"Sec-WebSocket-Protocol": "Chat.V1"}),
    "subprotocol not a token": head({"Sec-WebSocket-Protocol": 'chat.v1, "quoted"'}),
    "bearer not base64url": head({"Sec-WebSocket-Protocol": f"chat.v1, bearer.{MARKER}+!"}),
    "bearer padded": head({"Sec-WebSocket-Protocol": "chat.v1, bearer.YWJj="}),
    "bearer empty": head({"Sec-WebSocket-Protocol": "chat.v1, bearer."}),
    "two bearers": head({"Sec-WebSocket-Protocol": "chat.v1, bearer.YWJj, bearer.YWJj"}),
    "authorization twice": head(extra="Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    "authorization empty": head({"Authorization": "Bearer "}),
    "authorization not a token": head({"Authorization": f"Bearer {MARKER}\x80"}),
    "ticket twice": head(start=f"GET /ws?ticket={MARKER}&ticket=b HTTP/1.1"),
    "ticket empty": head(start="GET /ws?ticket= HTTP/1.1"),
    "ticket with a space": head(start="GET /ws?ticket=a%20b HTTP/1.1"),
    "obs-fold": head(extra=f"X-Long: a\r\n {MARKER}\r\n"),
    "bare LF": head().replace(b"Upgrade\r\n", b"Upgrade\n"),
    "bare CR": head(extra=f"X-A: a\r{MARKER}\r\n"),
    "NUL in a value": head(extra=f"X-A: a\0{MARKER}\r\n"),
    "NUL in a name": head(extra="X\0A: a\r\n"),
    "space before the colon": head(extra=f"X-A : {MARKER}\r\n"),
    "no colon": head(extra=f"{MARKER}\r\n"),
    "empty name": head(extra=f": {MARKER}\r\n"),
    "empty line first": b"\r\n" + head(),
    "TE and CL": head(extra="Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    "TE": head(extra="Transfer-Encoding: chunked\r\n"),
    "a body": head(extra="Content-Length: 5\r\n") + b"hello",
    "content-length twice": head(extra="Content-Length: 0\r\nContent-Length: 5\r\n"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 300,
    "HTTP/1.2 that nobody speaks": head(start="GET /ws HTTP/3.7"),
    "not HTTP at all": b"EHLO " + MARKER.encode() + b"\r\n\r\n",
}

OTHER_STATUS: dict[str, tuple[int, bytes]] = {
    "POST": (405, head(start="POST /ws HTTP/1.1")),
    "PUT": (405, head(start="PUT /ws HTTP/1.1")),
    "TRACE": (405, head(start="TRACE /ws HTTP/1.1")),
    "other path": (404, head(start=f"GET /{MARKER} HTTP/1.1")),
    "path with a slash more": (404, head(start="GET /ws/ HTTP/1.1")),
    "path escaped": (404, head(start="GET /%77s HTTP/1.1")),
    "dot segments": (404, head(start="GET /x/../ws HTTP/1.1")),
    "65 fields": (431, head(extra="X-A: a\r\n" * 59)),
    "a field of 9 KiB": (431, head(extra=f"X-A: {'a' * 9216}\r\n")),
    "a request line of 9 KiB": (414, head(start=f"GET /ws?{'a' * 9216} HTTP/1.1")),
    "a head of 17 KiB": (431, head(extra=f"X-A: {'a' * 4096}\r\n" * 4 + f"X-B: {'b' * 900}\r\n")),
    "16 KiB of spaces": (431, head({"Sec-WebSocket-Protocol": " " * 16_384 + "chat.v1"})),
}

FORBIDDEN: dict[str, bytes] = {
    "other port": head({"Origin": "http://127.0.0.1:1"}),
    "other scheme": head({"Origin": "https://127.0.0.1"}),
    "null": head({"Origin": "null"}),
    "empty": head({"Origin": ""}),
    "wildcard": head({"Origin": "*"}),
    "stranger": head({"Origin": f"https://{MARKER}.example"}),
}


def refused(scene: Scene, request: bytes, status: int, code: str) -> dict[str, str]:
    """Asserts the whole refusal; its headers."""
    with scene.raw() as raw:
        raw.send(request)
        answer = raw.answer()
        assert answer.status == status, answer
        problem = json.loads(answer.body)
        assert (problem["status"], problem["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "close" in answer.headers["connection"].lower()
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert MARKER not in f"{answer}"
        raw.half_close()
        raw.ended()
        return answer.headers


@pytest.mark.parametrize("case", UPGRADE_REQUIRED)
def test_what_is_no_upgrade_to_13_gets_426(scene: Scene, case: str) -> None:
    """With the protocol and the version that are spoken."""
    headers = refused(scene, UPGRADE_REQUIRED[case], 426, "bad_request")
    assert headers["upgrade"] == "websocket"
    assert headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("case", BAD_REQUEST)
def test_malformed_handshake_gets_400(scene: Scene, case: str) -> None:
    """Whatever a lenient parser would have made of it."""
    refused(scene, BAD_REQUEST[case], 400, "bad_request")


@pytest.mark.parametrize("case", OTHER_STATUS)
def test_handshake_that_is_refused_by_its_line_or_size(scene: Scene, case: str) -> None:
    """Paths, methods and sizes have each their own status."""
    status, request = OTHER_STATUS[case]
    codes = {404: "not_found", 405: "method_not_allowed"}
    headers = refused(scene, request, status, codes.get(status, "too_large"))
    assert headers.get("allow") == ("GET" if status == 405 else None)


@pytest.mark.parametrize("case", FORBIDDEN)
def test_origin_that_is_not_listed_gets_403(scene: Scene, case: str) -> None:
    """Exactly scheme, host and port, once."""
    headers = refused(scene, FORBIDDEN[case], 403, "forbidden")
    assert headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in headers


def test_look_alikes_of_an_allowed_origin_get_403(scene: Scene) -> None:
    """The allowed one itself is let in."""
    allowed = f"http://127.0.0.1:{scene.node.http_port}"
    with scene.raw() as raw:
        raw.upgrade({"Origin": allowed})
    for origin in (f"{allowed}.evil.example", f"{allowed}/", allowed.upper(), f"{allowed}0"):
        refused(scene, head({"Origin": origin}), 403, "forbidden")
    refused(scene, head({"Origin": allowed}, extra=f"Origin: {allowed}\r\n"), 403, "forbidden")


@pytest.mark.parametrize(
    "query",
    ["token={}", "access_token={}", "jwt={}", "%74oken={}", "x={}", "ticket={}", "TOKEN=short"],
)
def test_token_in_the_query_gets_400_and_is_in_no_log(scene: Scene, query: str) -> None:
    """Under any name that it could have."""
    request = head(start=f"GET /ws?{query.format(scene.token)} HTTP/1.1")
    refused(scene, request, 400, "token_in_url")
    assert scene.token not in scene.node.log()


def test_refusal_of_head_has_no_body(scene: Scene) -> None:
    """As RFC 9110 section 9.3.2 has it; the length is the one of the body that is not there."""
    with scene.raw() as raw:
        raw.send(head(start="HEAD /ws HTTP/1.1"))
        raw.half_close()
        top = raw._until(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 405 ")
        raw.ended()
        assert raw._read == b""


def test_extensions_are_declined_without_deflate(scene: Scene) -> None:
    """A thousand of them, too, as far as the head's bounds let them come."""
    offers = ", ".join(["permessage-deflate; client_max_window_bits=7; server_x=1"] * 120)
    for value in (offers, "permessage-deflate", ", ".join(["x"] * 1_000), ";;;=,,"):
        with scene.raw() as raw:
            assert (
                "sec-websocket-extensions"
                not in raw.upgrade({"Sec-WebSocket-Extensions": value}).headers
            )


def test_handshake_in_pieces_and_frames_behind_it_are_taken(scene: Scene) -> None:
    """A head cut anywhere, and a `hello` that comes in one packet with it."""
    whole = head()
    for cut in range(1, len(whole), 7):
        with scene.raw() as raw:
            raw.send(whole[:cut])
            raw.send(whole[cut:])
            assert raw.answer().status == 101


def test_bytes_after_a_refusal_are_not_read(scene: Scene) -> None:
    """A second request behind a refused one gets no answer: there is no keep-alive here."""
    with scene.raw() as raw:
        raw.send(head(start="GET /nowhere HTTP/1.1") + head())
        assert raw.answer().status == 404
        raw.half_close()
        raw.ended()
        assert raw._read == b""


def test_reset_in_a_handshake_is_forgotten(scene: Scene) -> None:
    """At every stage of it, a hundred times."""
    whole = head()
    for number in range(100):
        raw = Raw(scene.port)
        raw.send(whole[: number * len(whole) // 100])
        raw.reset()
