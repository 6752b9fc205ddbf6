"""Validation: the problems from readers, images, boxes and several datasets."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Dataset, DatasetInfo, Sample, UsageError
from boxwright.analysis import validation
from boxwright.analysis.validation import ValidationReport, validate
from boxwright.analysis.validation.checks import CHECKS, Severity
from boxwright.plugins.registry import Registry

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))

MakeSample = Callable[..., Sample]
MakeDataset = Callable[..., Dataset]


def photo(seed: int, quality: int = 90) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(values).resize((100, 80), Image.Resampling.BICUBIC)
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def shot(sample: MakeSample) -> MakeSample:
    """A sample with its own image, and a box of each of two classes."""

    def make(name: str, seed: int, *boxes: tuple[object, ...], quality: int = 90, **fields: object) -> Sample:
        data = fields.pop("data", None) or photo(seed, quality)
        boxes = boxes or (("fig", 10, 10, 40, 40), ("date", 50, 10, 90, 40))
        return sample(name, *boxes, image={"data": data}, **fields)

    return make


def found(report: ValidationReport) -> list[tuple[str, str, str]]:
    return [(p.check, p.file, p.problem) for p in report.problems]


def test_a_good_dataset(shot: MakeSample, dataset: MakeDataset) -> None:
    data = dataset(shot("a.jpg", 1), shot("b.jpg", 2), uri="memory")
    report = validate(data, few=2)
    assert report.problems == []
    assert report.ok
    assert [(part.name, part.images, part.boxes.total()) for part in report.parts] == [("memory", 2, 4)]
    assert report.seconds > 0


def test_every_kind_of_check_at_once(shot: MakeSample, sample: MakeSample, dataset: MakeDataset) -> None:
    report = validate(
        dataset(
            shot("a.jpg", 1, ("fig", 10, 10, 10, 40), ("fig", 5, 5, 30, 30), ("date", 5, 5, 30, 30)),
            shot("b.jpg", 2, data=photo(2)[:-300]),
            sample("c.jpg"),
            shot("a.jpg", 3),
            uri="memory",
        ),
    )
    assert [(check.name, number) for check, number, _ in report.by_check()] == [
        ("missing_picture", 1),
        ("damaged_picture", 1),
        ("repeated_name", 1),
        ("box_without_area", 1),
        ("contradicting_boxes", 1),
        ("rare_class", 2),
        ("picture_without_boxes", 1),
    ]
    assert (report.count("error"), report.count(Severity.WARNING), report.count("note")) == (4, 3, 1)
    assert not report.ok


def test_problems_of_the_reader_stop_nothing(shot: MakeSample) -> None:
    class Reader:
        info = DatasetInfo(format="toy", location="toys", notes=("three images are not annotated",))

        def read(self, on_problem: Callable[[DataError], None]) -> Iterator[Sample]:
            yield shot("a.jpg", 1)
            on_problem(DataError("toys", "this is not an annotation", "correct it", "line 2"))
            yield shot("b.jpg", 2)

    data = Dataset(Reader())  # would raise on its own
    report = validate(data, few=0)
    (unreadable, note) = report.problems
    assert (unreadable.check, unreadable.place, unreadable.remedy) == ("unreadable", "line 2", "correct it")
    assert (note.check, note.problem) == ("reader_note", "three images are not annotated")
    assert report.parts[0].images == 2
    assert data.problems.skipped == []
    with pytest.raises(DataError):
        list(data)


def test_nothing_in_it(dataset: MakeDataset) -> None:
    empty = validate(dataset(uri="memory"))
    assert found(empty) == [("no_pictures", "memory", "it does not contain annotated images")]
    assert not empty.ok


def test_the_same_image_in_two_datasets_is_an_error(shot: MakeSample, dataset: MakeDataset) -> None:
    train = dataset(shot("a.jpg", 1), shot("b.jpg", 2), uri="train")
    test = dataset(shot("x.jpg", 3), shot("y.jpg", 1), uri="test")
    report = validate([train, test], few=0)
    assert found(report) == [("leaked_picture", "source of a.jpg", "the same as source of y.jpg")]
    assert not report.ok


def test_and_in_two_splits_of_one_dataset(shot: MakeSample, dataset: MakeDataset) -> None:
    data = dataset(shot("a.jpg", 1, split="train"), shot("b.jpg", 1, ("fig", 1, 1, 9, 9), split="test"), uri="all")
    assert found(validate(data, few=0)) == [
        ("leaked_picture", "source of a.jpg [train]", "the same as source of b.jpg [test], with different boxes"),
        ("missing_class", "all [test]", "the class 'date' has no boxes; the other parts have 1"),
    ]


def test_a_duplicate_image_in_one_part_is_a_warning(shot: MakeSample, dataset: MakeDataset) -> None:
    report = validate(dataset(*[shot(f"{name}.jpg", 1) for name in "abcdef"], uri="all"), few=0)
    assert found(report) == [
        (
            "repeated_picture",
            "source of a.jpg",
            "the same as source of b.jpg, source of c.jpg, source of d.jpg and 2 others",
        )
    ]
    assert report.ok


def test_images_that_look_alike(shot: MakeSample, dataset: MakeDataset) -> None:
    train = dataset(shot("a.jpg", 1), shot("b.jpg", 2), shot("c.jpg", 2, quality=60), uri="train")
    test = dataset(shot("d.jpg", 1, quality=50), shot("e.jpg", 5), uri="test")
    assert found(validate([train, test], few=0)) == [
        ("leaked_likeness", "source of a.jpg", "looks like source of d.jpg"),
        ("similar_picture", "source of b.jpg", "looks like source of c.jpg"),
    ]


def test_pictures_without_contrast_are_not_alike(
    sample: MakeSample, dataset: MakeDataset, image_bytes: Callable[..., bytes]
) -> None:
    flat = [
        sample(f"{i}.jpg", ("fig", 1, 1, 20, 20), image={"data": image_bytes(color=(i * 40, 9, 9))}) for i in range(3)
    ]
    assert validate(dataset(*flat), few=0).problems == []


@pytest.mark.parametrize("depth", ["header", "none"])
def test_images_need_not_be_decoded(depth: validation.Depth, shot: MakeSample, dataset: MakeDataset) -> None:
    cut = shot("b.jpg", 2, data=photo(2)[:-300])
    wrong = shot("c.jpg", 3, size=(50, 40), data=photo(3))
    report = validate(dataset(shot("a.jpg", 1), cut, wrong), images=depth, few=0)
    # A box of c.jpg is outside the annotated size of 50x40, whatever the image's own size.
    sizes = ["size_mismatch"] if depth == "header" else []
    assert [p.check for p in report.problems] == [*sizes, "box_outside"]
    assert report.images == depth


def test_workers_change_nothing_but_the_time(shot: MakeSample, dataset: MakeDataset) -> None:
    def samples() -> list[Sample]:
        return [shot(f"{i}.jpg", i, data=photo(i)[: None if i % 3 else -200]) for i in range(20)]

    threads = set()

    def watched(sample: Sample, *, decode: bool) -> object:
        threads.add(threading.get_ident())
        return real(sample, decode=decode)

    real = validation.check_image
    one = validate(dataset(*samples()), workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "check_image", watched)
        three = validate(dataset(*samples()), workers=3)
    assert len(threads) > 1
    assert threading.get_ident() not in threads
    assert three.problems == one.problems
    assert one.counts["damaged_picture"] == 7


def test_problems_are_counted_beyond_what_is_kept(sample: MakeSample, dataset: MakeDataset) -> None:
    data = dataset(*[sample(f"{i}.jpg") for i in range(9)])
    report = validate(data, images="none", keep=2)
    assert report.counts["picture_without_boxes"] == 9
    assert [p.file for p in report.problems] == ["source of 0.jpg", "source of 1.jpg"]
    assert report.to_dict()["checks"]["picture_without_boxes"]["count"] == 9
    assert len(validate(data, images="none").problems) == 9


def test_the_pixel_convention_is_a_note(sample: MakeSample, dataset: MakeDataset) -> None:
    voc = dataset(*[sample(f"{i}", ("fig", 1, 1, 100, 80)) for i in range(5)], uri="memory")
    (note,) = [p for p in validate(voc, images="none").problems if p.check == "pixel_convention"]
    assert note.problem.startswith("it counts from 1 with the last pixel included")
    assert "none at 0, 10 at 1, none at size-1, 10 at size" in note.problem
    ours = dataset(*[sample(f"{i}", ("fig", 0, 0, 100, 80)) for i in range(5)], uri="memory")
    assert "pixel_convention" not in validate(ours, images="none").counts


def test_label_maps_of_the_datasets(sample: MakeSample, dataset: MakeDataset) -> None:
    train = dataset(sample("a", ("fig", 1, 2, 9, 9)), uri="a", label_map=boxwright.LabelMap.from_names(["fig"]))
    test = dataset(sample("b", ("fig", 1, 2, 9, 9)), uri="b", label_map=boxwright.LabelMap.from_names(["apple", "fig"]))
    checks = [p.check for p in validate([train, test], images="none", few=0).problems]
    assert checks == ["class_numbers", "label_map_gap", "unused_class"]


def test_to_dict_has_it_all(sample: MakeSample, dataset: MakeDataset) -> None:
    report = validate(dataset(sample("a.jpg", ("fig", 1, 2, 1, 9), split="train"), uri="all"), images="none", few=0)
    content = report.to_dict()
    assert {name: content[name] for name in ("ok", "errors", "warnings", "notes", "pictures")} == {
        "ok": False,
        "errors": 1,
        "warnings": 0,
        "notes": 0,
        "pictures": "none",
    }
    assert content["parts"] == [
        {"name": "all [train]", "dataset": "all", "split": "train", "pictures": 1, "boxes": 1, "classes": {"fig": 1}}
    ]
    assert content["problems"] == [
        {
            "severity": "error",
            "check": "box_without_area",
            "file": "source of a.jpg",
            "place": "box 1 (fig)",
            "problem": "0 x 7 pixels at 1, 2",
            "remedy": CHECKS["box_without_area"].remedy,
        }
    ]


def test_by_uri(ground_truth: str, plugins: Registry) -> None:
    report = boxwright.validate(ground_truth, registry=plugins)
    # The images of the example's dataset do not exist.
    assert report.counts["missing_picture"] == 2
    with pytest.raises(DataError, match="file not found"):
        boxwright.validate([ground_truth, "lines:nowhere.jsonl"], registry=plugins)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"data": []}, "no dataset"), ({"data": "lines:x", "images": "all"}, "decode, header, none")],
)
def test_wrong_calls(options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        validate(**options)  # type: ignore[arg-type]


def test_the_catalogue_of_checks() -> None:
    order = list(Severity)
    severities = [order.index(check.severity) for check in CHECKS.values()]
    assert severities == sorted(severities)  # the worst first
    assert all(name == check.name and check.title for name, check in CHECKS.items())
    assert [name for name, check in CHECKS.items() if not check.remedy] == ["reader_note"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are not here")
def test_blood_cells() -> None:
    pytest.importorskip("boxwright_voc")
    report = validate([f"labelimg:{SHARED}/bccd/{part}" for part in ("train", "val")])
    assert report.counts == {"box_without_area": 2, "leaked_likeness": 1, "pixel_convention": 2}
    (alike,) = [p for p in report.problems if p.check == "leaked_likeness"]
    assert alike.file.endswith("train/BloodImage_00038.jpg")
    assert alike.problem.endswith("val/BloodImage_00037.jpg")
