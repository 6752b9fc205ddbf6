"""Runs the program as ``python -m boxwright_cli``, for example if its script is not on the path."""

from boxwright_cli.main import main

main()
