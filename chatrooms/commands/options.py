"""Options that several subcommands share, and the one exception that ends a command."""

from pathlib import Path
from typing import Annotated, Any

import typer

from chatrooms import config as settings


class CommandError(Exception):
    """Ends a command with one sentence on stderr. Exit code 2: wrong use; 1: it failed."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file of settings (default ./chatrooms.toml if present)"),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="database, lock and admin socket (default data)")
]


def load_config(file: Path | None, flags: dict[str, Any]) -> settings.Loaded:
    """The settings with `flags` on top; a wrong one ends the command with code 2."""
    try:
        return settings.load(flags, file)
    except settings.ConfigError as error:
        raise CommandError(str(error), 2) from None
