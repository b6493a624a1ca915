"""What every suite shares: the place of the checkout."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout, where pyproject.toml is."""
    return Path(__file__).resolve().parents[1]
