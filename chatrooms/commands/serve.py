"""`chatrooms serve`: runs a node, and says what to type next."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from chatrooms import __version__
from chatrooms.commands.options import CommandError, ConfigFile, DataDir, load_config
from chatrooms.config import Config
from chatrooms.listening import PortTaken, authority, reachable_host
from chatrooms.observability.logs import configure_logs


def serve(
    host: Annotated[
        str | None, typer.Option(help="address of both ports (default 127.0.0.1)")
    ] = None,
    http_port: Annotated[int | None, typer.Option(help="REST and /docs (default 8000)")] = None,
    ws_port: Annotated[int | None, typer.Option(help="WebSocket (default 8001)")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="/metrics in production mode (default 8002)")
    ] = None,
    data_dir: DataDir = None,
    file: ConfigFile = None,
    mode: Annotated[
        str | None, typer.Option(help="development or production (default development)")
    ] = None,
    shards: Annotated[int | None, typer.Option(help="I/O threads (default 1)")] = None,
    deflate: Annotated[
        bool | None, typer.Option("--deflate/--no-deflate", help="permessage-deflate")
    ] = None,
    accept_rollback: Annotated[
        bool | None,
        typer.Option("--accept-rollback", help="start on a database that lost messages"),
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error")] = None,
) -> None:
    """Serve chat: REST on one port, WebSockets on another, everything in one process."""
    from chatrooms import bootstrap, serving  # noqa: PLC0415 -- only `serve` needs them, 0.5 s

    loaded = load_config(
        file,
        {
            "host": host,
            "http_port": http_port,
            "ws_port": ws_port,
            "admin_port": admin_port,
            "data_dir": data_dir,
            "mode": mode,
            "shards": shards,
            "deflate": deflate,
            "accept_rollback": accept_rollback,
            "log_level": log_level,
        },
    )
    config = loaded.config
    configure_logs(config.log_level, json=bootstrap.logs_are_json(config))
    log = structlog.get_logger("chatrooms")
    for name in loaded.unknown_variables:
        log.warning("there is no such setting", variable=name)
    try:
        code = serving.serve(config, lambda: _announce(config))
    except PortTaken as error:
        raise CommandError(str(error), 2) from None
    except bootstrap.StoreUnusable as error:
        raise CommandError(str(error), 2) from None
    except serving.ServerDied as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"cannot start: {error.strerror or error}") from None
    raise typer.Exit(code)


def _announce(config: Config) -> None:
    """Addresses, and in development exactly what to type next."""
    host = reachable_host(config.host)
    rest = f"http://{authority(host, config.http_port)}"
    sockets = f"ws://{authority(host, config.ws_port)}/ws"
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]Chat Rooms {__version__}[/] serves in {config.mode.value} mode")
    console.print(f"  REST     [cyan]{rest}[/]  (try {rest}/docs)")
    console.print(f"  sockets  [cyan]{sockets}[/]")
    console.print(f"  data     {config.data_dir.absolute()}")
    if config.production:
        metrics = authority(config.admin_host, config.admin_port)
        console.print(f"  metrics  http://{metrics}/metrics")
    else:
        chat = f"{_program()} chat lobby{_where(config, sockets, rest)}"
        console.print("Talk to yourself from two other terminals:")
        console.print(f"  [green]{chat} --user ada[/]")
        console.print(f"  [green]{chat} --user grace[/]")
    console.print("Stop with Ctrl-C.", style="dim")
    sys.stdout.flush()


def _program() -> str:
    """How a person starts this program from where they are."""
    name = Path(sys.argv[0]).name
    found = shutil.which(name)
    if found is not None and Path(found).samefile(sys.argv[0]):
        return name
    return os.path.relpath(sys.argv[0])


def _where(config: Config, sockets: str, rest: str) -> str:
    default = Config()
    if (config.host, config.http_port, config.ws_port) == (
        default.host,
        default.http_port,
        default.ws_port,
    ):
        return ""
    return f" --url {sockets} --rest-url {rest}"
