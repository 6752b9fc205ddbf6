"""Files that pycocotools, globox and supervision exchange with boxwright."""

from __future__ import annotations

import contextlib
import io
import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader, unpacked_runs
from boxwright_coco.masks import outline_box
from boxwright_coco.reader import CocoReader

LABELS = ("dog", "red, ripe", "вишня")


def raise_it(error: DataError) -> None:
    raise error


def random_samples(seed: int, images: int = 20) -> list[Sample]:
    """Images with integer and fractional boxes, crowds, polygons and scores; every fifth without boxes."""
    chance = random.Random(seed)
    samples = []
    for number in range(images):
        labels, coordinates, attributes = [], [], []
        for _ in range(chance.randrange(6) if number % 5 else 0):
            x, y = chance.randrange(300), chance.randrange(200)
            w, h = chance.randrange(1, 100), chance.randrange(1, 100)
            part = chance.choice([0, 0, 0.25, 0.1])
            labels.append(chance.choice(LABELS))
            coordinates.append((x + part, float(y), x + w + 2 * part, float(y + h)))
            more: dict[str, Any] = {"score": chance.random()}
            if chance.random() < 0.2:
                more |= {"iscrowd": 1}
            if chance.random() < 0.3:
                more |= {"segmentation": [[x, y, x + w, y, x + w, y + h]], "area": w * h / 2}
            attributes.append(more)
        image = ImageRef(name=f"{number:03d}.jpg", width=400, height=300)
        samples.append(Sample(image=image, boxes=Boxes(labels, coordinates, attributes)))
    return samples


def judge(path: Path) -> Any:
    """pycocotools' own index of a file, without its output."""
    coco = pytest.importorskip("pycocotools.coco")
    with contextlib.redirect_stdout(io.StringIO()):
        return coco.COCO(str(path))


@pytest.mark.parametrize("seed", range(3))
def test_pycocotools_reads_what_was_written(tmp_path: Path, seed: int) -> None:
    samples = random_samples(seed)
    boxwright.convert(Dataset(SampleReader(samples)), f"coco:{tmp_path}/out.json")
    found = judge(tmp_path / "out.json")
    names = {row["id"]: row["name"] for row in found.loadCats(found.getCatIds())}
    images = found.loadImgs(found.getImgIds())
    assert [image["file_name"] for image in images] == [sample.image.name for sample in samples]
    assert sorted(names.values()) == sorted(LABELS)
    for image, sample in zip(images, samples, strict=True):
        rows = found.loadAnns(found.getAnnIds(imgIds=image["id"]))
        assert [names[row["category_id"]] for row in rows] == list(sample.boxes.labels)
        for row, box in zip(rows, sample.boxes, strict=True):
            x, y, w, h = row["bbox"]
            assert (x, y, x + w, y + h) == pytest.approx(box.coordinates, abs=1e-9)
            assert row["area"] == pytest.approx(box.attributes.get("area", box.area))
            assert row["iscrowd"] == box.attributes.get("iscrowd", 0)
            assert row["segmentation"] == box.attributes.get("segmentation", [])
    crowds = sum(box.attributes.get("iscrowd", 0) for sample in samples for box in sample.boxes)
    assert len(found.getAnnIds(iscrowd=True)) == crowds > 0


def test_pycocotools_evaluates_our_files(tmp_path: Path) -> None:
    """Detections equal to the ground truth have an average precision of 1, with both files loaded by pycocotools."""
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    plain = [
        sample.replace(boxes=Boxes(sample.boxes.labels, sample.boxes.coordinates, [{"score": 0.5}] * len(sample.boxes)))
        for sample in random_samples(1)
    ]
    for suffix in ("truth.json", "found.json?kind=detections"):
        boxwright.convert(Dataset(SampleReader(plain)), f"coco:{tmp_path}/{suffix}")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = judge(tmp_path / "truth.json")
        result = evaluation.COCOeval(truth, truth.loadRes(str(tmp_path / "found.json")), "bbox")
        result.evaluate()
        result.accumulate()
        result.summarize()
    assert result.stats[0] == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_we_read_what_pycocotools_reads(tmp_path: Path, seed: int) -> None:
    """A shuffled file with odd numbers, read by both."""
    chance = random.Random(seed)
    images = [{"id": chance.randrange(10**12), "file_name": f"{i}.jpg", "width": 90, "height": 80} for i in range(30)]
    rows = [
        {
            "id": 10**10 + i * 7,
            "image_id": chance.choice(images)["id"],
            "category_id": chance.choice([3, 90]),
            "bbox": [round(chance.uniform(0, 50), 2) for _ in range(4)],
            "area": round(chance.uniform(0, 50), 3),
            "iscrowd": chance.choice([0, 0, 1]),
        }
        for i in range(200)
    ]
    chance.shuffle(rows)
    categories = [{"id": 90, "name": "b"}, {"id": 3, "name": "a"}]
    (tmp_path / "in.json").write_text(json.dumps({"annotations": rows, "images": images, "categories": categories}))
    theirs = judge(tmp_path / "in.json")
    for sample in CocoReader(str(tmp_path / "in.json")).read(raise_it):
        annotations = theirs.loadAnns(theirs.getAnnIds(imgIds=int(sample.attributes["source_id"])))
        assert theirs.loadImgs(int(sample.attributes["source_id"]))[0]["file_name"] == sample.image.name
        assert [theirs.loadCats(row["category_id"])[0]["name"] for row in annotations] == list(sample.boxes.labels)
        for row, box in zip(annotations, sample.boxes, strict=True):
            x, y, w, h = row["bbox"]
            assert box.coordinates == pytest.approx((x, y, x + w, y + h), abs=1e-9)
            assert box.attributes["area"] == row["area"]
            assert box.attributes.get("iscrowd", 0) == row["iscrowd"]


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_bounding_boxes_of_masks_are_those_of_pycocotools(width: int, height: int, data: st.DataObject) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    numpy = pytest.importorskip("numpy")
    bits = data.draw(st.lists(st.booleans(), min_size=width * height, max_size=width * height).filter(any))
    packed = mask.encode(numpy.asfortranarray(numpy.array(bits, dtype=numpy.uint8).reshape(height, width)))
    x, y, w, h = mask.toBbox(packed)
    segmentation = {"size": [height, width], "counts": packed["counts"].decode()}
    assert outline_box(segmentation) == (x, y, x + w, y + h)
    counts = unpacked_runs(segmentation["counts"])
    assert outline_box({"size": [height, width], "counts": counts}) == (x, y, x + w, y + h)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_run_lengths_packed_by_pycocotools_are_unpacked_runs(counts: list[int]) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    packed = mask.frPyObjects({"size": [sum(counts), 1], "counts": counts}, sum(counts), 1)
    assert unpacked_runs(packed["counts"].decode()) == counts


def test_globox_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    globox = pytest.importorskip("globox")
    samples = [sample for sample in random_samples(2) if sample.boxes]
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    boxwright.convert(Dataset(SampleReader(samples)), f"coco:{ours}")
    found = globox.AnnotationSet.from_coco(ours)
    assert {annotation.image_id for annotation in found} == {sample.image.name for sample in samples}
    for sample in samples:
        boxes = found[sample.image.name].boxes
        assert [box.label for box in boxes] == list(sample.boxes.labels)
        for box, coordinates in zip(boxes, sample.boxes.coordinates, strict=True):
            assert box.ltrb == pytest.approx(coordinates, abs=1e-9)
    found.save_coco(theirs)
    back = {sample.image.name: sample for sample in CocoReader(str(theirs)).read(raise_it)}
    for sample in samples:
        other = back[sample.image.name]
        assert (other.image.width, other.image.height) == (400, 300)
        assert other.boxes.labels == sample.boxes.labels
        for coordinates, others in zip(sample.boxes.coordinates, other.boxes.coordinates, strict=True):
            assert others == pytest.approx(coordinates, abs=1e-9)


def test_supervision_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about libraries that it can do without
        supervision = pytest.importorskip("supervision")
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    samples = [
        sample.replace(boxes=Boxes(sample.boxes.labels, sample.boxes.coordinates))
        for sample in random_samples(3)
        if sample.boxes
    ]
    for sample in samples:
        Image.new("RGB", (400, 300)).save(tmp_path / sample.image.name)
    boxwright.convert(Dataset(SampleReader(samples)), f"coco:{ours}")
    found = supervision.DetectionDataset.from_coco(str(tmp_path), str(ours))
    by_name = {Path(path).name: detections for path, _, detections in found}
    for sample in samples:
        detections = by_name[sample.image.name]
        assert [found.classes[number] for number in detections.class_id] == list(sample.boxes.labels)
        assert detections.xyxy.tolist() == [
            pytest.approx(coordinates, abs=1e-4) for coordinates in sample.boxes.coordinates
        ]
    found.as_coco(annotations_path=str(theirs))
    back = {sample.image.name: sample for sample in CocoReader(str(theirs)).read(raise_it)}
    for sample in samples:
        assert back[sample.image.name].boxes.labels == sample.boxes.labels
        for coordinates, others in zip(
            sample.boxes.coordinates, back[sample.image.name].boxes.coordinates, strict=True
        ):
            assert others == pytest.approx(coordinates, abs=1e-4)
