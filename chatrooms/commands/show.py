"""`chatrooms config` and `chatrooms version`: what this installation is and how it is set."""

import json
import platform
import sqlite3
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chatrooms import __version__
from chatrooms.commands.options import ConfigFile, DataDir, load_config
from chatrooms.config import Config, Loaded


def config(
    file: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Show every setting, its value and where it comes from."""
    loaded = load_config(file, {"data_dir": data_dir})
    if as_json:
        typer.echo(json.dumps(_rows(loaded), indent=2))
        return
    table = Table("setting", "value", "from", "meaning", box=None, header_style="bold")
    for name, row in _rows(loaded).items():
        style = "dim" if row["from"] == "default" else ""
        shown = json.dumps(row["value"], ensure_ascii=False).strip('"')
        meaning = Config.model_fields[name].description or ""
        table.add_row(name, Text(shown), row["from"], meaning, style=style)
    console = Console()
    console.print(table)
    for name in loaded.unknown_variables:
        console.print(Text(f"{name} is set, but there is no such setting."))


def version() -> None:
    """Print the version of Chat Rooms and of what it stands on."""
    typer.echo(
        f"chatrooms {__version__} (Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.machine()})"
    )


def _rows(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Secrets are SecretStr fields, whose JSON form is asterisks."""
    values = loaded.config.model_dump(mode="json")
    values["origins"] = list(loaded.config.allowed_origins)
    return {
        name: {"value": value, "from": loaded.sources[name]}
        for name, value in values.items()
        if name in loaded.sources
    }
