"""What is sealed under one secret opens under no other."""

import base64

import pytest

from chatrooms.adapters.aead import AeadSeals

SEALS = AeadSeals()


def test_sealed_text_opens_under_its_secret() -> None:
    """And never looks the same twice."""
    first, second = (SEALS.seal("secret", "pair \u00e4") for _ in range(2))
    assert first != second
    assert SEALS.unseal("secret", first) == SEALS.unseal("secret", second) == "pair \u00e4"


def test_another_secret_or_an_altered_text_is_refused() -> None:
    """Every bit counts."""
    sealed = SEALS.seal("secret", "pair")
    with pytest.raises(ValueError, match="another secret"):
        SEALS.unseal("Secret", sealed)
    raw = bytearray(base64.urlsafe_b64decode(sealed))
    for place in range(len(raw)):
        raw[place] ^= 1
        with pytest.raises(ValueError, match="altered"):
            SEALS.unseal("secret", base64.urlsafe_b64encode(raw).decode())
        raw[place] ^= 1
