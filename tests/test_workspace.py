"""What the distributions of this repository have in common, and the lists that a tool needs of them."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import boxwright

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(path.parent for kind in ("packages", "plugins") for path in (ROOT / kind).glob("*/pyproject.toml"))
MAJOR, MINOR = (int(part) for part in boxwright.__version__.split(".")[:2])
RANGE = f">={MAJOR}.{MINOR},<{MAJOR}.{MINOR + 1}"


def configuration(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


CORE = configuration(ROOT / "packages" / "boxwright")["project"]


def test_uv_knows_every_distribution() -> None:
    sources = configuration(ROOT)["tool"]["uv"]["sources"]
    assert sources == {folder.name: {"workspace": True} for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestEachDistribution:
    def test_it_is_named_like_its_folder(self, folder: Path) -> None:
        assert configuration(folder)["project"]["name"] == folder.name

    def test_its_metadata_is_that_of_the_core(self, folder: Path) -> None:
        project = configuration(folder)["project"]
        assert {key: project[key] for key in ("license", "readme", "requires-python", "urls")} == {
            key: CORE[key] for key in ("license", "readme", "requires-python", "urls")
        }
        assert set(CORE["classifiers"]) <= set(project["classifiers"])
        assert set(project["keywords"]) >= {"object detection", "bounding boxes"}
        assert project["description"]

    def test_it_has_the_license_file(self, folder: Path) -> None:
        """A copy, since neither a wheel nor an sdist can take a file from outside its folder."""
        assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()

    def test_its_version_is_that_of_the_core(self, folder: Path) -> None:
        found = configuration(folder)
        assert found["project"]["dynamic"] == ["version"]
        if found["build-system"]["build-backend"] == "hatchling.build":
            path = folder / found["tool"]["hatch"]["version"]["path"]
            assert path.resolve() == ROOT / "packages" / "boxwright" / "src" / "boxwright" / "_version.py"
        else:
            assert "_version.py" in (folder / "setup.py").read_text("utf-8")

    def test_it_needs_the_same_series_of_the_others(self, folder: Path) -> None:
        project = configuration(folder)["project"]
        for requirement in chain(project["dependencies"], *project.get("optional-dependencies", {}).values()):
            if requirement.startswith("boxwright"):
                assert re.fullmatch(rf"boxwright[\w-]*(\[[\w,-]+\])?{re.escape(RANGE)}", requirement)


@pytest.mark.parametrize("path", ["templates/plugin/common/pyproject.toml", "docs/writing-a-plugin.md"])
def test_what_authors_copy_needs_the_same_series(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    ranges = re.findall(r'"boxwright[\w-]*([<>=~!][^"]*)"', text)
    assert ranges
    assert set(ranges) == {RANGE}
