"""`python -m chatrooms` is the command line."""

from chatrooms.cli import main

main()
