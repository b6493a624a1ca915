"""Chat Rooms: the Python control plane over the Rust data plane `chatrooms._core`."""

from importlib.metadata import version

__version__ = version("chatrooms")
"""Version of the installed distribution, the one of pyproject.toml."""
