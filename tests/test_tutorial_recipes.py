"""The recipes of docs/recipes run on small data, each step of them; and again after a photo has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

RECIPES = Path(__file__).resolve().parents[1] / "docs" / "recipes"
Program = Any

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@pytest.fixture
def ran(boxwright: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that recipes have run: in this process, because each would import TensorFlow."""
    from boxwright_cli.recipes.running import Finished

    done: list[str] = []

    def execute(words: list[str]) -> Finished:
        done.append(words[0])
        result = boxwright(words[0], "--json", *words[1:])
        assert result.exit_code == 0, result.output
        return Finished(0, json.loads(result.stdout))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxwright_cli.recipes.running.execute_apart", lambda flags, lock: execute)
    return done


@pytest.fixture
def photos(boxwright: Program, ran: list[str]) -> Path:
    """Drawn photos: ten to train on, and some to test on."""
    boxwright("demo", "data/images", "--images", "10", "--size", "96x64")
    return Path("data/images")


def actions(content: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["action"] for step in content["steps"]}


def change(photo: Path) -> None:
    """Changes one pixel."""
    with Image.open(photo) as image:
        image.putpixel((0, 0), (255, 0, 255))
        image.save(photo)


@pytest.mark.usefixtures("small_network")
def test_the_recipe_of_the_fruits(boxwright: Program, ran: list[str], photos: Path) -> None:
    """With the default preset, whose weights must not be imported."""
    for library in ("keras_cv", "ai_edge_litert"):
        pytest.importorskip(library)
    recipe = shutil.copy(RECIPES / "fruits.yaml", "fruits.yaml")
    words = ("run", recipe, "--set", "steps=2", "--set", "preset=efficientnet_lite0_imagenet", "--set", "size=96x64")
    content = boxwright.json(*words)
    assert ran == ["validate", "train", "evaluate", "export", "predict"]
    [row] = content["results"]["rows"]
    measured = boxwright.json(
        "evaluate", "runs/fruits-efficientnet_lite0_imagenet-0", "--data", "labelimg:data/images/test"
    )
    assert row["numbers"] == measured["values"]
    tests = sorted(path.name for path in (photos / "test").glob("*.jpg"))
    assert sorted(p.name for p in Path("found/fruits-efficientnet_lite0_imagenet-0").glob("*.jpg")) == tests

    # The model does not depend on the photos to test on.
    change(photos / "test" / tests[0])
    expected = {"validate": "run", "train": "done", "evaluate": "run", "export": "run", "predict": "run"}
    assert actions(boxwright.json(*words, "--dry-run")) == expected
    ran.clear()
    boxwright.json(*words)
    assert ran == ["validate", "evaluate", "export", "predict"]
    change(next((photos / "train").glob("*.jpg")))
    shown = boxwright(*words, "--dry-run").stdout
    assert "train: runs: data: 1 file changed: data/images/train/" in shown
    assert "evaluate: runs: train runs before it" in shown


@pytest.mark.usefixtures("small_network")
def test_the_recipe_that_finds_label_errors(boxwright: Program, ran: list[str], photos: Path) -> None:
    for library in ("keras_cv", "boxwright_coco"):
        pytest.importorskip(library)
    text = (RECIPES / "label-errors.yaml").read_text("utf-8")
    Path("short.yaml").write_text(text.replace("preset: ${preset}", "preset: ${preset}\n    epochs: 1"), "utf-8")
    content = boxwright.json("run", "short.yaml", "--set", "photos=data/images/train", "--set", "preset=tiny")
    assert ran == [*["convert"] * 5, *["train"] * 5, "evaluate"]
    [row] = content["results"]["rows"]
    assert 0 <= row["numbers"]["AP"] <= 1
    seen = [json.loads(Path(f"runs/folds/{n}/manifest.json").read_text("utf-8"))["data"] for n in range(5)]
    assert [len(each) for each in seen] == [8] * 5
    names = {path.name for path in (photos / "train").glob("*.jpg")}
    assert sorted(name for each in seen for name in names - set(each)) == sorted(names), "each in one fold"


@pytest.mark.usefixtures("small_network")
def test_the_recipe_of_the_kerascv_guide(boxwright: Program, ran: list[str], photos: Path) -> None:
    """On a dataset of TFDS with the features of Pascal VOC, and weights that are not downloaded."""
    for library in ("keras_cv", "tensorflow_datasets"):
        pytest.importorskip(library)
    import tensorflow_datasets as tfds

    from boxwright_tfds.conformance import prepare

    features = {
        "image": tfds.features.Image(),
        "image/filename": tfds.features.Text(),
        "objects": tfds.features.Sequence(
            {"label": tfds.features.ClassLabel(names=["key", "leaf", "mug"]), "bbox": tfds.features.BBoxFeature()}
        ),
    }
    splits = {"train": examples(photos / "train"), "validation": examples(photos / "test")}
    data = prepare(Path("voc").resolve(), features, splits)
    recipe = shutil.copy(RECIPES / "pascal-voc.yaml", "pascal-voc.yaml")
    changes = (f"data=tfds:{data}", "preset=resnet18", "batch=2")
    content = boxwright.json("run", recipe, *(word for change in changes for word in ("--set", change)))
    assert ran == ["view", "train", "evaluate", "tune", "predict"]
    [row] = content["results"]["rows"]
    assert 0 <= row["numbers"]["AP"] <= 1
    settings = json.loads(Path("runs/voc-0/config.json").read_text("utf-8"))["settings"]
    assert settings["network"] == "kerascv"
    assert settings["freeze_backbone"] is True
    assert json.loads(Path("runs/voc-0/tuned.json").read_text("utf-8"))["decoder"]["score"] == 0.15
    assert len(list(Path("runs/voc-0-found").glob("*.jpg"))) == 9


def examples(folder: Path) -> list[dict[str, Any]]:
    """Returns annotated photos as examples of TFDS."""
    import tensorflow_datasets as tfds

    import boxwright as library

    found = []
    for sample in library.open(f"labelimg:{folder}"):
        width, height = sample.image.width, sample.image.height
        boxes = [
            {
                "label": box.label,
                "bbox": tfds.features.BBox(box.ymin / height, box.xmin / width, box.ymax / height, box.xmax / width),
            }
            for box in sample.boxes
        ]
        found.append({"image": str(sample.image.location), "image/filename": sample.image.name, "objects": boxes})
    return found


@pytest.mark.tfod
def test_the_recipe_of_the_labelimg_tutorial(boxwright: Program, ran: list[str], photos: Path) -> None:
    """In the API's environment, from scratch."""
    environments = pytest.importorskip("boxwright.plugins").environments()
    if "tfod" not in environments or environments["tfod"].status != "installed":
        pytest.skip("the environment is not installed: boxwright env install tfod")
    recipe = shutil.copy(RECIPES / "labelimg-tutorial.yaml", "tutorial.yaml")
    words = ("run", recipe, "--set", "steps=2", "--set", "batch=2")
    content = boxwright.json(*words)
    assert ran == ["validate", *["convert"] * 4, "train", "evaluate", "export", "predict"]
    assert 0 <= content["results"]["rows"][0]["numbers"]["AP"] <= 1
    assert len(list(Path("runs/tutorial-found").glob("*.jpg"))) == 2
    change(next((photos / "test").glob("*.jpg")))
    again = {name: action for name, action in actions(boxwright.json(*words, "--dry-run")).items() if action == "run"}
    assert set(again) == {"validate", "test-csv", "test-record", "train", "evaluate", "export", "predict"}
