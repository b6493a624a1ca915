"""S7 and the JWT rows: one form of token is good, everything else gets one same 401."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OKPKey

from chatrooms.adapters.jose import JoseTokens
from chatrooms.domain.errors import Code, Refusal
from tests.fakes.world import Person, World


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Forge:
    """Makes tokens that differ from a good one in one thing, signed by the node's real key."""

    def __init__(self, world: World, person: Person) -> None:
        good = person.tokens["access_token"].split(".")
        self.good: str = person.tokens["access_token"]
        self.header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(good[0] + "=="))
        self.claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(good[1] + "=="))
        self.key: OKPKey = world.tokens._keys[self.header["kid"]]

    def signed(self, header: bytes, claims: bytes) -> str:
        """Any bytes under a right Ed25519 signature."""
        text = f"{_encode(header)}.{_encode(claims)}"
        private = self.key.private_key
        assert isinstance(private, Ed25519PrivateKey)
        return f"{text}.{_encode(private.sign(text.encode()))}"

    def with_header(self, **changes: Any) -> str:
        """The good token with other header members."""
        header = json.dumps(self.header | changes).encode()
        return self.signed(header, json.dumps(self.claims).encode())

    def with_claims(self, *dropped: str, **changes: Any) -> str:
        """The good token with other claims, and without some."""
        claims = {
            name: value for name, value in (self.claims | changes).items() if name not in dropped
        }
        return self.signed(json.dumps(self.header).encode(), json.dumps(claims).encode())

    def hmac_with_public_key(self) -> str:
        """The classic confusion of algorithms."""
        header = json.dumps(self.header | {"alg": "HS256"}).encode()
        text = f"{_encode(header)}.{self.good.split('.')[1]}"
        secret = self.key.as_pem(private=False)
        digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        return f"{text}.{_encode(digest)}"

    def of_another_key(self) -> str:
        """Right in everything but that somebody else signed it."""
        key = OKPKey.generate_key("Ed25519")
        return jwt.encode(self.header, self.claims, key, algorithms=["Ed25519"])

    def non_canonical(self) -> str:
        """Other text, same bytes: the last character has spare bits."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        last: str = alphabet[alphabet.index(self.good[-1]) ^ 1]
        return self.good[:-1] + last


ROWS: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda forge: forge.with_header(alg="none"),
    "alg None": lambda forge: forge.with_header(alg="None"),
    "alg none, no signature": lambda forge: forge.with_header(alg="none").rpartition(".")[0] + ".",
    "alg EdDSA": lambda forge: forge.with_header(alg="EdDSA"),
    "alg of a list": lambda forge: forge.with_header(alg=["Ed25519"]),
    "HS256 with the public key": lambda forge: forge.hmac_with_public_key(),
    "another key": lambda forge: forge.of_another_key(),
    "kid unknown": lambda forge: forge.with_header(kid="other"),
    "kid with a path": lambda forge: forge.with_header(kid="../../dev/null"),
    "kid with SQL": lambda forge: forge.with_header(kid="' OR 1=1 --"),
    "kid of a number": lambda forge: forge.with_header(kid=1),
    "jku": lambda forge: forge.with_header(jku="https://evil.test/keys"),
    "x5u": lambda forge: forge.with_header(x5u="https://evil.test/cert"),
    "jwk": lambda forge: forge.with_header(jwk={"kty": "OKP"}),
    "crit": lambda forge: forge.with_header(crit=["exp"]),
    "typ of an ID token": lambda forge: forge.with_header(typ="JWT"),
    "exp absent": lambda forge: forge.with_claims("exp"),
    "exp a string": lambda forge: forge.with_claims(exp=str(forge.claims["exp"])),
    "exp a float": lambda forge: forge.with_claims(exp=forge.claims["exp"] + 0.5),
    "exp true": lambda forge: forge.with_claims(exp=True),
    "exp beyond 2**53": lambda forge: forge.with_claims(exp=1 << 60),
    "iat absent": lambda forge: forge.with_claims("iat"),
    "nbf in the future": lambda forge: forge.with_claims(nbf=forge.claims["iat"] + 3600),
    "nbf a string": lambda forge: forge.with_claims(nbf="0"),
    "wrong aud": lambda forge: forge.with_claims(aud="others"),
    "aud absent": lambda forge: forge.with_claims("aud"),
    "aud a list": lambda forge: forge.with_claims(aud=["chatrooms", "others"]),
    "wrong iss": lambda forge: forge.with_claims(iss="https://evil.test"),
    "sub absent": lambda forge: forge.with_claims("sub"),
    "sub a list": lambda forge: forge.with_claims(sub=["u"]),
    "sid absent": lambda forge: forge.with_claims("sid"),
    "sid unknown": lambda forge: forge.with_claims(sid="nosuchsession"),
    "jti absent": lambda forge: forge.with_claims("jti"),
    "two parts": lambda forge: forge.good.rpartition(".")[0],
    "four parts": lambda forge: forge.good + ".AAAA",
    "empty parts": lambda _: "..",
    "no token at all": lambda _: "x",
    "padding": lambda forge: forge.good + "==",
    "not canonical": lambda forge: forge.non_canonical(),
    "signature cut": lambda forge: forge.good[:-4],
    "standard base64": lambda forge: forge.good.replace("-", "+").replace("_", "/") + "+",
    "1 MiB": lambda forge: forge.with_claims(pad="x" * 1_048_576),
    "just over 8 KiB": lambda forge: forge.with_claims(pad="x" * 8_192),
    "duplicate claim": lambda forge: forge.signed(
        json.dumps(forge.header).encode(),
        json.dumps(forge.claims)[:-1].encode() + b',"sub":"somebody"}',
    ),
    "duplicate header": lambda forge: forge.signed(
        json.dumps(forge.header)[:-1].encode() + b',"alg":"Ed25519"}',
        json.dumps(forge.claims).encode(),
    ),
    "claims that are a list": lambda forge: forge.signed(json.dumps(forge.header).encode(), b"[]"),
    "claims nested deep": lambda forge: forge.signed(
        json.dumps(forge.header).encode(), b"[" * 5000
    ),
    "header not JSON": lambda forge: forge.signed(b"{", json.dumps(forge.claims).encode()),
    "header not UTF-8": lambda forge: forge.signed(b'{"\xff":1}', b"{}"),
}


async def _ask(world: World, token: str) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {token}"}
    return await world.http.get("/v1/users/me", headers=bearer)


@pytest.mark.parametrize("name", ROWS)
async def test_bad_token_gets_the_one_refusal(world: World, name: str) -> None:
    """401, `unauthorized`, the same body and challenge for every row."""
    forge = Forge(world, await world.person("ada"))
    token = ROWS[name](forge)
    assert token != forge.good
    answer = await _ask(world, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    problem = answer.json()
    problem.pop("request_id")
    assert problem == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "code": "unauthorized",
        "detail": "The credential is not valid.",
        "retry": False,
    }
    assert world.failures == []


async def test_forged_form_of_a_good_token_is_good(world: World) -> None:
    """The table above fails for the reason it names: unchanged, the forge's tokens pass."""
    forge = Forge(world, await world.person("ada"))
    for token in (forge.good, forge.with_header(), forge.with_claims(nbf=forge.claims["iat"])):
        assert (await _ask(world, token)).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Authorization", "Basic YTpi")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ],
)
async def test_request_without_one_bearer_token_is_refused(
    world: World, fields: list[tuple[str, str]]
) -> None:
    """None, another scheme, an empty one, two of them."""
    assert (await world.http.get("/v1/users/me", headers=fields)).status_code == 401


async def test_only_age_is_told(world: World) -> None:
    """A good token past its time says `token_expired`; a forged one past its time does not."""
    ada = await world.person("ada")
    forge = Forge(world, ada)
    assert (await _ask(world, forge.good)).status_code == 200
    world.clock.pass_seconds(899)
    assert (await _ask(world, forge.good)).status_code == 200
    world.clock.pass_seconds(1)
    answer = await _ask(world, forge.good)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert answer.json()["retry"] is True
    forged = await _ask(world, forge.of_another_key())
    assert forged.json()["code"] == "unauthorized"


async def test_tokens_of_an_older_key_stay_good_after_rotation(world: World) -> None:
    """S7: the newest key signs, older ones verify, and one that is gone does not."""
    ada = await world.person("ada")
    old = ada.tokens["access_token"]
    world.clock.pass_seconds(1)
    key = OKPKey.generate_key("Ed25519")
    keys = await world.store.keys.all()

    class Rotated:
        def __init__(self, rows: list[tuple[str, bytes, int]]) -> None:
            self.rows = rows

        async def all(self) -> list[tuple[str, bytes, int]]:
            return self.rows

        async def add(self, kid: str, private_der: bytes, *, first: bool = False) -> None:
            raise AssertionError((kid, private_der, first))

    rotated = Rotated([("next", key.as_der(private=True), world.clock.now_ms()), *keys])
    tokens = JoseTokens(rotated, world.clock)
    await tokens.load()
    new = tokens.issue(ada.id, tokens.verify(old).session, 900)
    header = json.loads(base64.urlsafe_b64decode(new.split(".")[0] + "=="))
    assert header == {"alg": "Ed25519", "typ": "at+jwt", "kid": "next"}
    assert tokens.verify(new).user == ada.id
    rotated.rows = rotated.rows[:1]
    await tokens.load()
    with pytest.raises(Refusal) as refused:
        tokens.verify(old)
    assert refused.value.code is Code.UNAUTHORIZED


async def test_leeway_is_bounded(world: World) -> None:
    """Clocks may differ by a minute at most."""
    with pytest.raises(ValueError, match="leeway"):
        JoseTokens(world.store.keys, world.clock, leeway_seconds=61)
    lenient = JoseTokens(world.store.keys, world.clock, leeway_seconds=60)
    await lenient.load()
    token = lenient.issue("u", "s", 10)
    world.clock.pass_seconds(69)
    assert lenient.verify(token).user == "u"
    world.clock.pass_seconds(1)
    with pytest.raises(Refusal) as refused:
        lenient.verify(token)
    assert refused.value.code is Code.TOKEN_EXPIRED
