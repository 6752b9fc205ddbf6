"""docs/coming-from-the-tutorials.md: its commands run, on the first tutorial's own photos if they are available."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
PAGE = (ROOT / "docs" / "coming-from-the-tutorials.md").read_text("utf-8")
FIRST, SECOND = PAGE.split("\n## ")[1:]

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not (SHARED / "fruits").is_dir(), reason="the photos of shared/data are not here"),
]


def commands(section: str) -> list[list[str]]:
    """Returns the words of each line that begins with ``$``, in a section of the page."""
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line[2:])[1:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The tutorial's folder with its photos, not annotated yet."""
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    for photo in sorted((SHARED / "fruits").rglob("*.jpg")):
        shutil.copy(photo, raw / photo.name)
    return tmp_path


def annotate(project: Path) -> None:
    """Replaces the photos that were assigned at random by the tutorial's own photos and XML."""
    shutil.rmtree(project / "data" / "images")
    for part in ("train", "test"):
        shutil.copytree(SHARED / "fruits" / part, project / "data" / "images" / part)


def test_the_first_tutorials_data(project: Path, here: Callable[..., str]) -> None:
    resize, *others = commands(FIRST)
    here(*resize, cwd=project)
    shares = {part: len(list((project / "data/images" / part).glob("*.jpg"))) for part in ("train", "test")}
    assert shares == {"train": 16, "test": 2}
    annotate(project)
    for words in others:
        if words[0] in ("validate", "view", "convert"):
            here(*words, cwd=project)
    rows = (project / "data/annotations/train_labels.csv").read_text().splitlines()
    assert rows[0] == "filename,width,height,class,xmin,ymin,xmax,ymax"
    assert len(rows) == 1 + 152
    assert (project / "data/annotations/label_map.pbtxt").read_text().count("item {") == 3
    direct = project / "direct.record"
    here("convert", "labelimg:data/images/train", f"tfrecord:{direct}", cwd=project)
    output = here(
        "diff", "tfrecord:data/annotations/train.record", f"tfrecord:{direct}", "--ignore", "attributes", cwd=project
    )
    assert "no differences" in output


@pytest.mark.slow
@pytest.mark.tfod
def test_the_first_tutorials_training(project: Path, here: Callable[..., str]) -> None:
    environments = pytest.importorskip("boxwright.environments.environment").environments()
    if "tfod" not in environments or environments["tfod"].status != "installed":
        pytest.skip("the environment is not installed: boxwright env install tfod")
    (project / "data/images").mkdir()
    annotate(project)
    for words in commands(FIRST)[1:]:
        if words[:2] != ["env", "install"]:
            here(*["steps=4" if word == "steps=400" else word for word in words], cwd=project)
    assert len(list((project / "found").glob("*.jpg"))) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("small_network")
def test_every_command_of_the_second_tutorial_is_valid(project: Path, here: Callable[..., str]) -> None:
    """Unchanged, except for the data, the preset (whose weights would be downloaded) and the length."""
    pytest.importorskip("keras_cv")
    other = {
        "tfds:voc/2007?split=train": f"labelimg:{SHARED / 'fruits' / 'train'}",
        "tfds:voc/2007?split=validation": f"labelimg:{SHARED / 'fruits' / 'test'}",
        "tfds:voc/2007?split=test": f"labelimg:{SHARED / 'fruits' / 'test'}",
        "resnet50_imagenet": "tiny",
        "freeze_backbone=true": "freeze_backbone=false",
        "learning_rate=0.1": "learning_rate=0.001",
    }
    for words in commands(SECOND):
        short = ["--set", "steps=2", "--image-size", "96x96"] if words[0] == "train" else []
        here(*[other.get(word, word) for word in words], *short, cwd=project)
    assert len(list((project / "found").glob("*.jpg"))) == 2
