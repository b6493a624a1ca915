"""`token`, `room`, `verify` and `drain`: through the running node, else on the database itself."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from chatrooms.admin.client import NotRunning, request
from chatrooms.admin.operations import TOKENS_MAX, Item
from chatrooms.commands.options import CommandError, ConfigFile, DataDir, load_config
from chatrooms.config import Config
from chatrooms.domain.errors import Refusal
from chatrooms.observability.logs import configure_logs


def token(
    user: Annotated[str, typer.Option(help="username; made without password where absent")],
    count: Annotated[
        int | None,
        typer.Option(min=1, max=TOKENS_MAX, help="one each for NAME-0 … NAME-(count-1)"),
    ] = None,
    ttl: Annotated[
        int, typer.Option(help="seconds until they expire; negative makes expired ones")
    ] = 3_600,
    data_dir: DataDir = None,
    file: ConfigFile = None,
) -> None:
    """Print access tokens, one a line."""
    arguments = {"user": user, "count": count or 0, "ttl": ttl}
    _operate(file, data_dir, "token", arguments, lambda item: _print(item["token"]))


def room(
    name: Annotated[str, typer.Option(help="name of the new public room")],
    members_prefix: Annotated[str, typer.Option(help="add all users whose name begins so")],
    data_dir: DataDir = None,
    file: ConfigFile = None,
) -> None:
    """Make a room with many members, for load tests, and print its id."""
    arguments = {"name": name, "members_prefix": members_prefix}
    _operate(file, data_dir, "room", arguments, lambda item: _print(item["room"]))


def verify(data_dir: DataDir = None, file: ConfigFile = None) -> None:
    """Walk every room's log: no gap, no double. Exit code 1 with findings."""
    totals: dict[str, int] = {}

    def take(item: Item) -> None:
        if "finding" in item:
            finding = item["finding"]
            _print(f"room {finding['room']}: {finding['problem']}")
        else:
            totals.update(item["verified"])

    _operate(file, data_dir, "verify", {}, take)
    _print(f"{totals['events']} events in {totals['rooms']} rooms, {totals['findings']} findings")
    if totals["findings"]:
        raise typer.Exit(1)


def drain(data_dir: DataDir = None, file: ConfigFile = None) -> None:
    """Ask the running node to let its connections go and stop, as SIGTERM does."""
    _operate(file, data_dir, "drain", {}, lambda _: _print("the node drains"))


def _operate(
    file: Path | None,
    data_dir: Path | None,
    op: str,
    arguments: dict[str, Any],
    take: Callable[[Item], None],
) -> None:
    config = load_config(file, {"data_dir": data_dir}).config
    configure_logs("warning", json=False)

    async def run() -> None:
        async with aclosing(_answers(config, op, arguments)) as answers:
            async for item in answers:
                take(item)

    try:
        asyncio.run(run())
    except Refusal as why:
        field = f"{why.field}: " if why.field else ""
        raise CommandError(f"{field}{why}") from None


async def _answers(config: Config, op: str, arguments: dict[str, Any]) -> AsyncGenerator[Item]:
    try:
        async with aclosing(request(config.admin_socket, op, arguments)) as items:
            async for item in items:
                yield item
    except NotRunning:
        pass
    else:
        return
    if op == "drain":
        raise CommandError(f"no node runs on {config.data_dir}")
    if op == "verify" and not config.data_dir.is_dir():
        raise CommandError(f"there is no data directory {config.data_dir}")
    async with aclosing(_at_rest(config, op, arguments)) as items:
        async for item in items:
            yield item


async def _at_rest(config: Config, op: str, arguments: dict[str, Any]) -> AsyncGenerator[Item]:
    from chatrooms import bootstrap  # noqa: PLC0415 -- not needed beside a running node, 0.5 s

    try:
        async with (
            bootstrap.operations_at_rest(config) as operations,
            aclosing(operations.perform(op, arguments)) as items,
        ):
            async for item in items:
                yield item
    except bootstrap.StoreUnusable as error:
        raise CommandError(str(error)) from None


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
