"""The tokens port over joserfc: JWT (RFC 7519, RFC 9068), alg Ed25519 (RFC 9864) only."""

import hashlib
import secrets
from collections import OrderedDict
from typing import Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from chatrooms.adapters.jose.strict import NotStrictError, parts, strict_object
from chatrooms.domain.errors import Code, Refusal
from chatrooms.ports.clock import Clock
from chatrooms.ports.credentials import Claims
from chatrooms.ports.sessions import SigningKeys

ALGORITHM: Final = "Ed25519"
TYPE: Final = "at+jwt"
ISSUER: Final = "chatrooms"
AUDIENCE: Final = "chatrooms"
LEEWAY_SECONDS_MAX: Final = 60
VERIFIED_MAX: Final = 32_768

_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ"})
_SENTENCE: Final = "The credential is not valid."


class JoseTokens:
    """Signs with the newest key, verifies with any; `load` comes before both.

    A verified token is remembered by its SHA-256, so that a reconnect storm costs a hash each;
    its times are judged anew every time.
    """

    def __init__(self, keys: SigningKeys, clock: Clock, leeway_seconds: int = 0) -> None:
        if not 0 <= leeway_seconds <= LEEWAY_SECONDS_MAX:
            raise ValueError(f"leeway_seconds must be 0..{LEEWAY_SECONDS_MAX}")
        self._store = keys
        self._clock = clock
        self._leeway_ms = leeway_seconds * 1000
        self._keys: dict[str, OKPKey] = {}
        self._signer = ""
        self._verified: OrderedDict[bytes, tuple[Claims, int]] = OrderedDict()

    async def load(self) -> None:
        """Reads the signing keys, after making the first one in a new database."""
        found = await self._store.all()
        if not found:
            made = OKPKey.generate_key(ALGORITHM)
            await self._store.add(secrets.token_urlsafe(9), made.as_der(private=True))
            found = await self._store.all()
        self._keys = {kid: OKPKey.import_key(der) for kid, der, _ in found}
        self._signer = found[0][0]
        # A key that was taken away takes what it signed with it.
        self._verified.clear()

    def issue(
        self,
        user: str,
        session: str,
        ttl_seconds: int,
        *,
        issued_ms: int | None = None,
        token_id: str | None = None,
    ) -> str:
        """As the port says."""
        issued = (self._clock.now_ms() if issued_ms is None else issued_ms) // 1000
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "sid": session,
            "jti": token_id or secrets.token_urlsafe(12),
            "iat": issued,
            "exp": issued + ttl_seconds,
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._signer}
        return jwt.encode(header, claims, self._keys[self._signer], algorithms=[ALGORITHM])

    def verify(self, token: str) -> Claims:
        """As the port says."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is None:
            try:
                known = self._judge(token)
            except (NotStrictError, JoseError):
                raise Refusal(Code.UNAUTHORIZED, _SENTENCE) from None
            self._verified[digest] = known
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(digest)
        claims, not_before_ms = known
        now_ms = self._clock.now_ms()
        if not_before_ms > now_ms + self._leeway_ms:
            raise Refusal(Code.UNAUTHORIZED, _SENTENCE)
        if claims.expires_ms + self._leeway_ms <= now_ms:
            raise Refusal(Code.TOKEN_EXPIRED, "The access token has expired.")
        return claims

    def _judge(self, token: str) -> tuple[Claims, int]:
        """All but the times: form, header, signature, claims; (claims, nbf in ms or 0)."""
        header_bytes, payload_bytes = parts(token)
        header = strict_object(header_bytes)
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if (
            key is None
            or not header.keys() <= _HEADER_NAMES
            or header.get("alg") != ALGORITHM
            or header.get("typ") != TYPE
        ):
            raise NotStrictError("header")
        jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        claims = strict_object(payload_bytes)
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise NotStrictError("issuer or audience")
        user, session, _ = (_text(claims, name) for name in ("sub", "sid", "jti"))
        expires, _ = (_seconds(claims, name) for name in ("exp", "iat"))
        not_before = _seconds(claims, "nbf") if "nbf" in claims else 0
        return Claims(user, session, expires * 1000), not_before * 1000


def _text(claims: dict[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise NotStrictError(name)
    return value


def _seconds(claims: dict[str, object], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise NotStrictError(name)
    return value
