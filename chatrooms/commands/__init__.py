"""The subcommands of `chatrooms`, one theme a file; chatrooms.cli puts them together."""
