"""`chatrooms chat`: the terminal client, pointed at the node of the same settings."""

import asyncio
import os
from typing import Annotated

import typer

from chatrooms.commands.options import ConfigFile, load_config
from chatrooms.listening import authority, reachable_host


def chat(
    room: Annotated[str, typer.Argument(metavar="ROOM", help="id of the room, for example lobby")],
    user: Annotated[str | None, typer.Option(help="username", show_default="asked for")] = None,
    url: Annotated[
        str | None, typer.Option(help="WebSocket", show_default="ws://127.0.0.1:8001/ws")
    ] = None,
    rest_url: Annotated[
        str | None, typer.Option(help="REST", show_default="http://127.0.0.1:8000")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="CHATROOMS_TOKEN", help="access token, instead of a user")
    ] = None,
    file: ConfigFile = None,
) -> None:
    """Talk in a room from this terminal, or from a pipe.

    CHATROOMS_PASSWORD is the password of --user, where nobody can be asked for it.
    """
    from chatrooms.client.terminal import run_chat  # noqa: PLC0415 -- only `chat` needs it, 0.3 s

    config = load_config(file, {}).config
    host = reachable_host(config.host)
    sockets = url or f"ws://{authority(host, config.ws_port)}/ws"
    rest = rest_url or f"http://{authority(host, config.http_port)}"
    # No flag for it: everybody on the machine sees the arguments of a process.
    password = os.environ.get("CHATROOMS_PASSWORD") or None
    conversation = run_chat(sockets, rest, room, user=user, password=password, token=token)
    raise typer.Exit(asyncio.run(conversation))
