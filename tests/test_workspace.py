"""What the distributions of this repository have in common, and the lists of them that tools need."""

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


PROJECTS = {folder.name: configuration(folder)["project"] for folder in FOLDERS}
CORE = PROJECTS["boxwright"]


def test_uv_knows_every_distribution() -> None:
    sources = configuration(ROOT)["tool"]["uv"]["sources"]
    assert sources == {folder.name: {"workspace": True} for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestEachDistribution:
    def test_it_is_named_like_its_folder(self, folder: Path) -> None:
        assert configuration(folder)["project"]["name"] == folder.name

    def test_its_metadata_is_that_of_the_core(self, folder: Path) -> None:
        project = PROJECTS[folder.name]
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
        project = PROJECTS[folder.name]
        for requirement in chain(project["dependencies"], *project.get("optional-dependencies", {}).values()):
            if requirement.startswith("boxwright") and not requirement.startswith(f"{folder.name}["):
                assert re.fullmatch(rf"boxwright[\w-]*(\[[\w,-]+\])?{re.escape(RANGE)}", requirement)


def installed_with(requirement: str) -> set[str]:
    """Returns the distributions of this repository that one installs with some extras."""
    found = re.match(r"(boxwright[\w-]*)(?:\[([\w,-]+)\])?", requirement)
    assert found, requirement
    project = PROJECTS[found[1]]
    extras = [project["optional-dependencies"][extra] for extra in (found[2] or "").split(",") if extra]
    needed = [each for each in chain(project["dependencies"], *extras) if each.startswith("boxwright")]
    return {found[1]}.union(*map(installed_with, needed))


def test_the_extra_all_installs_every_distribution_but_the_one_for_authors() -> None:
    assert installed_with("boxwright[all]") == set(PROJECTS) - {"boxwright-testing"}


def test_the_extra_convert_needs_no_framework() -> None:
    assert not {"boxwright-tf", "boxwright-kerascv", "boxwright-tfod"} & installed_with("boxwright[convert]")


@pytest.mark.parametrize("path", ["templates/plugin/common/pyproject.toml", "docs/writing-a-plugin.md"])
def test_what_authors_copy_needs_the_same_series(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    ranges = re.findall(r'"boxwright[\w-]*([<>=~!][^"]*)"', text)
    assert ranges
    assert set(ranges) == {RANGE}
