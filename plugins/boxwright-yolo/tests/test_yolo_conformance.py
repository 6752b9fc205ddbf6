from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from boxwright_testing import BadInput
from boxwright_yolo import conformance

YAML = "train: images/train\nnames: {0: fig, 1: date}\n"
GOOD = "0 0.5 0.5 0.5 0.5\n"


def dataset(place: Path, label: str | bytes = GOOD, yaml: str | bytes = YAML, image: str = "b.jpg") -> Path:
    """One image that is as it should be, and one whose label file is given."""
    for folder in ("images/train", "labels/train"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    for name in ("a.jpg", image):
        Image.new("RGB", (40, 30)).save(place / "images/train" / name)
    (place / "data.yaml").write_bytes(yaml.encode() if isinstance(yaml, str) else yaml)
    (place / "labels/train/a.txt").write_text(GOOD)
    (place / "labels/train/b.txt").write_bytes(label.encode() if isinstance(label, str) else label)
    return place


class TestYolo(conformance.TestYolo):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each next to one good image; the invalid line is line 2."""
        lines: dict[str, tuple[str | bytes, str]] = {
            "too few columns": ("0 0.5 0.5 0.5", r"line 2: it has 4 columns instead of 5"),
            "only a class": ("1", r"line 2: it has 1 columns instead of 5"),
            "a class without a name": ("2 .5 .5 .5 .5", r"line 2: the class 2 has no name in .*data\.yaml.* fig, date"),
            "a negative class": ("-1 .5 .5 .5 .5", r"line 2: the class is '-1', not a class number"),
            "a fraction as class": ("0.5 .5 .5 .5 .5", r"line 2: the class is '0\.5'"),
            "a huge class": ("1e9 .5 .5 .5 .5", r"line 2: the class is '1e9'"),
            "a name as class": ("fig .5 .5 .5 .5", r"line 2: the class is 'fig', not a number"),
            "not a number": ("0 nan .5 .5 .5", r"line 2: a value is 'nan', not a number"),
            "infinity": ("0 .5 .5 inf .5", r"line 2: a value is 'inf'"),
            "too large a number": ("0 .5 .5 1e999 .5", r"line 2: a value is not finite"),
            "comma as decimal mark": ("0 0,5 0,5 0,5 0,5", r"line 2: a value is '0,5'.*\n.*point as decimal mark"),
            "commas between columns": ("0,0.5,0.5,0.5,0.5", r"line 2: the class is '0,0\.5,.*\n.*separated by spaces"),
            "digits with underscores": ("0 0.5_1 .5 .5 .5", r"line 2: a value is '0\.5_1'"),
            "other digits": ("0 ٠.٥ .5 .5 .5", r"line 2: a value is '٠\.٥'"),
            "half a number": ("0 .5 1e .5 .5", r"line 2: a value is '1e'"),
            "pixels": ("0 20 15 10 10", r"line 2: a value is 20, .* these seem to be pixels\n.*divide"),
            "a polygon in pixels": ("0 2 3 20 3 20 15", r"line 2: a value is 3, .* these seem to be pixels"),
            "negative": ("0 .5 .5 -.5 .5", r"line 2: the width or height of the box is negative: -0\.5, 0\.5"),
            "a score above 1": ("0 .5 .5 .5 .5 7", r"line 2: the column after the box is 7, not a score"),
            "not UTF-8": (b"0 .5 .5 .5 \xff", "it is not UTF-8 text"),
            "NUL characters": ("0 .5 .5 .5 .5\0", "it is not text"),
        }
        inputs = []
        for what, (line, message) in lines.items():
            content = GOOD.encode() + (line.encode() if isinstance(line, str) else line)
            inputs.append(BadInput(what, dataset(folder / what, content), rf"b\.txt.*{message}", skipped=1, good=1))
        place = dataset(folder / "no image", image="c.jpg")
        message = r"labels/train/b\.txt: its image images/train/b is missing.*\n.*images=FOLDER.*size=WIDTHxHEIGHT"
        inputs.append(BadInput("no image", place, message, skipped=1, good=2))
        place = dataset(folder / "two images")
        Image.new("RGB", (40, 30)).save(place / "images/train/b.png")
        message = r"b\.txt: it could belong to images/train/b\.jpg or images/train/b\.png\n.*rename"
        inputs.append(BadInput("two images", place, message, skipped=1, good=1))
        place = dataset(folder / "no real image")
        (place / "images/train/b.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is none")
        inputs.append(BadInput("no real image", place, r"b\.jpg: it cannot be read as an image", skipped=1, good=1))
        place = dataset(folder / "listed more than once", yaml=YAML.replace("images/train", "train.txt"))
        (place / "train.txt").write_text("images/train/a.jpg\n\n./images/train/b.jpg\nimages/train/a.jpg\n")
        message = r"train\.txt, line 4: duplicate image images/train/a\.jpg: line 1"
        inputs.append(BadInput("listed more than once", place, message, skipped=1, good=2))
        return inputs + self._bad_yaml(folder)

    def _bad_yaml(self, folder: Path) -> list[BadInput]:
        wrong: dict[str, tuple[str | bytes, str]] = {
            "no YAML": ("train: [images/train\nnames: [a]", r"data\.yaml, line 2: it is not valid YAML"),
            "a tab in YAML": ("train: images/train\n\tnames: [a]", r"data\.yaml, line 2: it is not valid YAML"),
            "YAML that is not UTF-8": (b"names: [\xff]", r"data\.yaml.*: it is not valid YAML"),
            "control characters": ("names: [a\x01]", r"data\.yaml.*: it is not valid YAML"),
            "an empty YAML": ("", r"data\.yaml: it is empty"),
            "a YAML list": ("- a\n- b", r"data\.yaml: it has no keys"),
            "a text in YAML": ("hello", r"data\.yaml: it has no keys"),
            "no names": ("train: images/train", r"data\.yaml: it has no names.*\n.*names:"),
            "no space": ("train: images/train\nnames:\n  0:cat\n  1:bear", r"a space is missing after each colon"),
            "names as text": ("train: images/train\nnames: fig", r"data\.yaml: it has no names"),
            "names of lists": ("train: images/train\nnames: [[a], b]", r"data\.yaml: class 0 has no name"),
            "a name as number": (
                "train: images/train\nnames: {fig: 0}",
                r"data\.yaml: 'fig' in names is not a class number",
            ),
            "another nc": (
                "train: images/train\nnc: 3\nnames: [a, b]",
                r"nc is not the number of names, which is 2",
            ),
            "an alias bomb": (
                "a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]",
                r"data\.yaml, line 2: it has an alias .* can be used for attacks",
            ),
            "deep nesting": ("names: " + "[" * 5000, r"data\.yaml, line 1: it is nested more than 20 deep"),
            "train is a number of folders": ("train: {a: b}\nnames: [a]", r"data\.yaml: train is not a folder"),
            "train is not there": (
                YAML.replace("train", "tarin").replace("tarin:", "train:"),
                r"train is 'images/tarin'",
            ),
            "train is elsewhere": (
                YAML.replace("images/train", "../../etc"),
                r"train is '\.\./\.\./etc', not a folder",
            ),
            "a pose of words": (YAML + "kpt_shape: many\n", r"kpt_shape is not \[points, 2\]"),
        }
        inputs = []
        for what, (yaml, message) in wrong.items():
            inputs.append(BadInput(what, dataset(folder / what, yaml=yaml), message, skipped=0))
        (folder / "bare").mkdir()
        Image.new("RGB", (40, 30)).save(folder / "bare/a.jpg")
        message = r"bare: no data\.yaml, obj\.data or classes\.txt in it.*\n.*classes=FILE"
        inputs.append(BadInput("no names at all", folder / "bare", message, skipped=0))
        place = dataset(folder / "two yaml")
        (place / "data.yaml").rename(place / "one.yaml")
        (place / "two.yaml").write_text(YAML)
        message = r"it could be described by one\.yaml or two\.yaml\n.*yolo:.*one\.yaml"
        inputs.append(BadInput("two descriptions", place, message, skipped=0))
        return inputs


def test_yaml_with_code_is_text(tmp_path: Path) -> None:
    import boxwright

    place = dataset(tmp_path, yaml="train: images/train\nnames: [!!python/object/apply:os.getcwd [], date]\n")
    with pytest.raises(boxwright.DataError, match="class 0 has no name"):
        boxwright.open(f"yolo:{place}")
    dataset(tmp_path, yaml="train: images/train\nnames: [!!python/name:os.system '', !!int '7']\n")
    (label_map,) = {boxwright.open(f"yolo:{place}").info.label_map}
    assert label_map is not None
    assert label_map.names == ("7",)
