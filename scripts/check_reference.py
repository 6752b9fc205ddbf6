"""Checks that the built docs site describes every public name: ``python scripts/check_reference.py``.

The pages of docs/reference are named after the public packages. Prints each name of a package's ``__all__`` that its
page leaves out, and exits with status 1 if there is any.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from mkdocstrings import Inventory

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Prints what is missing, and returns the exit status."""
    with open(ROOT / "site" / "objects.inv", "rb") as file:
        described = set(Inventory.parse_sphinx(file))
    packages = [page.stem for page in sorted((ROOT / "docs" / "reference").glob("boxwright*.md"))]
    missing = [
        f"{package}.{name}"
        for package in packages
        for name in importlib.import_module(package).__all__
        if f"{package}.{name}" not in described
    ]
    for name in missing:
        print(f"docs/reference: {name} is not described: give it a docstring")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
