"""Chat Rooms: the Python control plane over the Rust data plane `chatrooms._core`."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("chatrooms")
except PackageNotFoundError:  # used from a source tree: the SDK needs no installation
    __version__ = "0+uninstalled"
"""Version of the installed distribution, the one of pyproject.toml."""
