"""What every suite shares: the place of the checkout, and how hypothesis runs here."""

from pathlib import Path

import pytest
from hypothesis import settings

# Two busy cores make a time limit on one example a coin toss; a failure prints how to repeat it.
settings.register_profile("chatrooms", deadline=None, print_blob=True)
settings.load_profile("chatrooms")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout, where pyproject.toml is."""
    return Path(__file__).resolve().parents[1]
