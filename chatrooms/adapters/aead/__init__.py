"""The sealing port: HKDF-SHA256 (RFC 5869) and AES-256-GCM (NIST SP 800-38D)."""

import base64
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"chatrooms refresh successor v1"


class AeadSeals:
    """Secrets are long and random, so that deriving a key from one needs no stretching."""

    def seal(self, secret: str, text: str) -> str:
        """As the port says: base64url of nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = _cipher(secret).encrypt(nonce, text.encode(), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, secret: str, sealed: str) -> str:
        """As the port says."""
        raw = base64.urlsafe_b64decode(sealed)
        try:
            text = _cipher(secret).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except InvalidTag:
            raise ValueError("sealed under another secret, or altered") from None
        return text.decode()


def _cipher(secret: str) -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return AESGCM(derive.derive(secret.encode()))
