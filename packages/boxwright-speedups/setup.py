"""Takes the version from the core, or from the metadata of the sdist that this is built from."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
SOURCES = (
    (HERE / "PKG-INFO", r"^Version: (.+)$"),
    (HERE.parent / "boxwright" / "src" / "boxwright" / "_version.py", r'^__version__ = "(.+)"$'),
)

path, pattern = next(source for source in SOURCES if source[0].is_file())
version = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
assert version, f"no version in {path}"
setup(version=version[1])
