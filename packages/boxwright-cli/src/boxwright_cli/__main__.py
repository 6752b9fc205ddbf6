"""``python -m boxwright_cli``: the program where its script is not on the path."""

from boxwright_cli.main import main

main()
