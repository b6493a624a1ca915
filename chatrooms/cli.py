"""The command line: every subcommand, and how each failure becomes one sentence and a code."""

import sys
from typing import NoReturn

import typer

from chatrooms.commands import chat, doctor, operate, serve, show
from chatrooms.commands.options import CommandError

app = typer.Typer(
    name="chatrooms",
    help="Chat Rooms: a chat server and its tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(chat.chat)
app.command()(operate.token)
app.command()(operate.room)
app.command()(operate.verify)
app.command()(operate.drain)
app.command()(show.config)
app.command()(doctor.doctor)
app.command()(show.version)


def main() -> NoReturn:
    """Entry point: exit code 0, 1 for a failure, 2 for wrong use, 130 for Ctrl-C."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        if sentence := error.format_message():  # none where the help was shown instead
            _say(sentence)
        sys.exit(2)
    except CommandError as error:
        _say(str(error))
        sys.exit(error.code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(sentence: str) -> None:
    print(f"chatrooms: {' '.join(sentence.split())}", file=sys.stderr)
