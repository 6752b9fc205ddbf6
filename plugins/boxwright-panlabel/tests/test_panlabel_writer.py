"""Writing: files as each tool reads them, and what a format cannot represent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, Dataset, Sample
from boxwright.datasets import SampleReader
from boxwright_panlabel.program import find_program
from boxwright_testing import make_sample

pytest.importorskip("panlabel")


@pytest.fixture
def sample(tmp_path: Path) -> Callable[..., Sample]:
    def make(name: str = "a.jpg", label: str = "fig", attributes: dict[str, Any] | None = None, **more: Any) -> Sample:
        plain = make_sample(tmp_path / "images", "a.jpg", (40, 30), [label], [(1, 2, 30.5, 20)], [attributes or {}])
        return plain.replace(image=plain.image.model_copy(update={"name": name}), **more)

    return make


def write(target: str, *samples: Sample, **options: Any) -> boxwright.ConversionReport:
    return boxwright.convert(Dataset(SampleReader(list(samples))), target, **options)


def test_supervisely_as_supervisely_reads_it(sample: Callable[..., Sample], tmp_path: Path) -> None:
    write(f"supervisely:{tmp_path / 's'}", sample())
    files = sorted(path.relative_to(tmp_path / "s").as_posix() for path in (tmp_path / "s").rglob("*.*"))
    assert files == ["dataset/ann/a.jpg.json", "dataset/img/a.jpg", "meta.json"]
    (figure,) = json.loads((tmp_path / "s" / "dataset" / "ann" / "a.jpg.json").read_text())["objects"]
    assert (figure["classTitle"], figure["geometryType"]) == ("fig", "rectangle")
    assert figure["points"] == {"exterior": [[1.0, 2.0], [30.5, 20.0]], "interior": []}


def test_darwin_as_v7_reads_it(sample: Callable[..., Sample], tmp_path: Path) -> None:
    write(f"v7-darwin:{tmp_path / 'v'}", sample("cam1/a.jpg"), sample("a.jpg"))
    content = json.loads((tmp_path / "v" / "annotations" / "cam1" / "a.jpg.json").read_text())
    assert (content["version"], content["item"]["name"], content["item"]["path"]) == ("2.0", "a.jpg", "/cam1")
    assert (content["item"]["slots"][0]["width"], content["item"]["slots"][0]["slot_name"]) == (40, "0")
    (box,) = content["annotations"]
    assert (box["name"], box["bounding_box"]) == ("fig", {"x": 1.0, "y": 2.0, "w": 29.5, "h": 18.0})
    assert (tmp_path / "v" / "images" / "cam1" / "a.jpg").is_file()


def test_edge_impulse_as_its_uploader_reads_it(sample: Callable[..., Sample], tmp_path: Path) -> None:
    write(f"edge-impulse:{tmp_path / 'e'}", sample("b.jpg"), sample("é.jpg", boxes=Boxes()))
    content = json.loads((tmp_path / "e" / "bounding_boxes.labels").read_text())
    box = {"label": "fig", "x": 1.0, "y": 2.0, "width": 29.5, "height": 18.0}
    assert content == {"version": 1, "type": "bounding-box-labels", "boundingBoxes": {"b.jpg": [box], "é.jpg": []}}


def test_class_numbers_follow_the_label_map(sample: Callable[..., Sample], tmp_path: Path) -> None:
    classes = boxwright.LabelMap.from_names(["nut", "fig"], sort=False)
    write(f"yolo-keras:{tmp_path / 'y'}?one_based=true", sample(), label_map=classes)
    assert (tmp_path / "y" / "yolo_keras.txt").read_text() == "a.jpg 2,3,30.5,20,1\n"
    assert (tmp_path / "y" / "classes.txt").read_text().split() == ["nut", "fig"]


def test_labelbox_by_its_suffix(sample: Callable[..., Sample], tmp_path: Path) -> None:
    write(f"labelbox:{tmp_path / 'x.ndjson'}", sample("a.jpg"), sample("b.jpg"))
    assert len((tmp_path / "x.ndjson").read_text().splitlines()) == 2
    write(f"labelbox:{tmp_path / 'x.json'}", sample("a.jpg"), sample("b.jpg"))
    assert len(json.loads((tmp_path / "x.json").read_text())) == 2


@pytest.mark.parametrize(
    ("target", "changes", "says"),
    [
        ("scale-ai:x.json", {"label": "fig "}, r"the class 'fig ' has surrounding white space"),
        ("scale-ai:x.json", {"label": "a\x01b"}, "control characters"),
        ("kaggle-wheat:x.csv", {}, "kaggle-wheat has only the class 'wheat_head'"),
        ("oidv4:x", {"label": "dried fig"}, "the class 'dried fig' contains white space"),
        ("oidv4:x", {"name": "a.tif"}, r"oidv4 finds images by \.bmp"),
        ("sagemaker:x.manifest", {"name": "a#1.jpg"}, r"cannot represent a name with \? or #"),
        ("yolo-keras:x", {"name": "a b.jpg"}, "cannot represent a name with white space or a comma"),
        ("wider-face:x.txt", {"name": "a", "label": "face"}, "cannot represent a name without a suffix"),
        ("automl-vision:x.csv", {"split": "holdout"}, "the split is 'holdout'; the format has train, val, test"),
        ("scale-ai:x.json", {"attributes": {"f": float("nan")}}, "JSON cannot represent"),
        ("superannotate:x", {"name": "first.png"}, "duplicate image 'first.png': the format superannotate does not"),
        ("scale-ai:x.json", {"name": " b.jpg"}, "surrounding white space"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    sample: Callable[..., Sample], tmp_path: Path, target: str, changes: dict[str, Any], says: str
) -> None:
    name, _, file = target.partition(":")
    good = sample("first.jpg", label={"kaggle-wheat": "wheat_head", "wider-face": "face"}.get(name, "fig"))
    with pytest.raises(DataError, match=says) as caught:
        write(f"{name}:{tmp_path / file}", good, sample(**changes))
    assert caught.value.remedy
    assert not (tmp_path / file).exists()
    source = Dataset(SampleReader([good, sample(**changes)]))
    source.problems.on_error = "skip"
    report = boxwright.convert(source, f"{name}:{tmp_path / file}")
    assert (sum(report.samples.values()), len(report.skipped)) == (1, 1)


def test_a_missing_image(sample: Callable[..., Sample], tmp_path: Path) -> None:
    gone = sample()
    gone = gone.replace(image=gone.image.model_copy(update={"location": str(tmp_path / "gone.jpg")}))
    with pytest.raises(DataError, match=r"gone\.jpg: file not found"):
        write(f"superannotate:{tmp_path / 'l'}", gone)
    write(f"superannotate:{tmp_path / 'l'}?pictures=false", gone)
    assert not (tmp_path / "l" / "images").exists()


def test_panlabel_itself_reads_the_same_boxes_from_pascal_voc(tmp_path: Path) -> None:
    """Neither panlabel's conversion from XML to CVAT nor ours shifts coordinates."""
    samples = [
        make_sample(tmp_path / "images", f"{n}.jpg", (64, 48), ["fig", "nut"], [(n, 0, 60, 48), (1, 2, 3 + n, 4)])
        for n in range(3)
    ]
    write(f"labelimg:{tmp_path / 'voc' / 'Annotations'}", *samples)
    theirs, ours = tmp_path / "theirs.xml", tmp_path / "ours.xml"
    command = [find_program(), "convert", "-f", "voc", "-t", "cvat", "-i", str(tmp_path / "voc"), "-o", str(theirs)]
    subprocess.run([*command, "--allow-lossy"], check=True, capture_output=True)
    boxwright.convert(f"labelimg:{tmp_path / 'voc' / 'Annotations'}", f"cvat:{ours}")
    one, two = (list(boxwright.open(f"cvat:{path}")) for path in (theirs, ours))
    assert [s.boxes for s in one] == [s.boxes for s in two] == [s.boxes for s in samples]


def test_everything_in_panlabels_json_is_restored(sample: Callable[..., Sample], tmp_path: Path) -> None:
    attributes_of_dataset = {
        "info": {"year": 2026, "contributor": "é"},
        "licenses": [{"id": 1}],
        "name": "figs",
        "n": 3,
        "t": "3",
    }
    attributes = {
        "difficult": 1,
        "score": 0.5,
        "segmentation": [[1, 2, 3, 4.5]],
        "note": " a\nb ",
        "pose": "3",
        "x": None,
    }
    of_image = {"camera": "left", "exposure": 0.125, "tags": ["a", "b"]}
    one = sample(attributes=attributes).replace(attributes=of_image)
    reader = SampleReader([one])
    reader.info = reader.info.model_copy(update={"attributes": attributes_of_dataset})
    boxwright.convert(Dataset(reader), f"ir-json:{tmp_path / 'x.json'}", strict=True)
    dataset = boxwright.open(f"ir-json:{tmp_path / 'x.json'}")
    (back,) = dataset
    assert dict(back.boxes[0].attributes) == attributes
    assert back.attributes == one.attributes
    assert dataset.info.attributes == attributes_of_dataset


def test_a_sidecar_of_a_format_without_sizes_whose_images_are_elsewhere(
    sample: Callable[..., Sample], tmp_path: Path
) -> None:
    target = f"automl-vision:{tmp_path}/out/a.csv"
    write(target, sample(attributes={"note": "kept"}), sidecar=True)
    (read,) = boxwright.open(f"{target}?images={tmp_path}/images")
    assert [dict(each) for each in read.boxes.attributes] == [{"note": "kept"}]
    assert read.boxes.coordinates == ((1, 2, 30.5, 20),)
