"""Conversions: what they lose, count, skip and refuse."""

from __future__ import annotations

import json
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxwright import (
    ConversionReport,
    DataError,
    Dataset,
    FormatSpec,
    LossError,
    Sample,
)
from boxwright.datasets.losses import LossCounter, unit
from boxwright.datasets.problems import Problems


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# What is lost


def test_losses_are_counted(dataset: Callable[..., Dataset], sample: Callable[..., Sample], lines: FormatSpec) -> None:
    samples = [
        sample("a", ("x", 0, 0, 10.5, 10, {"difficult": 1, "pose": "Left"}), ("x", 1, 1, 5, 5, {"difficult": 1})),
        sample("b", attributes={"database": "d", "folder": "f", "path": "p"}),
        sample("c", ("x", 0.25, 0.5, 1, 1), split="train", attributes={"folder": "f"}, image={"data": b"image"}),
    ]
    nothing = LossCounter(FormatSpec(name="nothing"))
    everything = LossCounter(
        FormatSpec(name="everything", carries=frozenset({"images", "empty", "subpixel", "split", "box.*", "image.*"}))
    )
    some = LossCounter(
        FormatSpec(name="some", carries=frozenset({"box.pose", "image.database", "empty"})), split_in_name=True
    )
    for counter in (nothing, everything, some):
        for each in samples:
            counter.count(each)
    losses, kept, none = nothing.take(), some.take(), everything.take()
    assert losses.dropped == {
        "difficult": 2,
        "pose": 1,
        "images without boxes": 1,
        "image database": 1,
        "split": 1,
        "embedded images": 1,
    }
    assert losses.changed == {"sub-pixel coordinates": 2}
    assert losses.bookkeeping == {"image folder": 2, "image path": 1}
    assert losses.describe() == (
        "difficult: 2 boxes, embedded images: 1 image, image database: 1 image, "
        "images without boxes: 1 image, pose: 1 box, split: 1 image, sub-pixel coordinates: 2 boxes"
    )
    assert kept.dropped == {"difficult": 2, "embedded images": 1}
    assert kept.changed == {"sub-pixel coordinates": 2}
    assert not none
    assert none.describe() == ""
    assert unit("split", 2) == "images"
    assert not nothing.take()


def test_losses_count_additions_and_attributes_of_the_dataset(sample: Callable[..., Sample]) -> None:
    spec = FormatSpec(
        name="some",
        carries=frozenset({"subpixel", "box.*", "image.*", "dataset.info"}),
        adds=frozenset({"image.sha256", "box.area"}),
    )
    counter = LossCounter(spec, dataset_attributes={"info": {}, "licenses": []})
    counter.count(sample("a", ("x", 0, 0, 9, 9, {"area": 50.0}), ("x", 1, 1, 5, 5)))
    counter.count(sample("b", ("x", 0, 0, 9, 9, {"area": 50.0}), attributes={"sha256": "0"}))
    losses = counter.take()
    assert losses.added == {"image sha256": 1, "area": 1}
    assert losses.dropped == {"dataset licenses": 1}
    assert losses.rows() == [
        ("dropped", "dataset licenses", 1, "dataset"),
        ("added", "area", 1, "box"),
        ("added", "image sha256", 1, "image"),
    ]


def test_a_report_describes_output_and_losses(
    convert: Callable[..., ConversionReport],
    dataset: Callable[..., Dataset],
    sample: Callable[..., Sample],
    tmp_path: Path,
) -> None:
    data = dataset(
        sample("a.jpg", ("fig", 0, 0, 10.5, 10, {"difficult": 1}), ("date", 1, 1, 5, 5), attributes={"path": "p"}),
        sample("b.jpg"),
        uri="memory",
    )
    report = convert(data, f"numbers:{tmp_path}/a.num")
    assert report.to_dict() == {
        "source": "memory",
        "targets": [f"numbers:{tmp_path}/a.num"],
        "samples": {f"numbers:{tmp_path}/a.num": 2},
        "boxes": 2,
        "classes": {"date": 1, "fig": 1},
        "splits": {},
        "dropped": {"difficult": 1},
        "changed": {"sub-pixel coordinates": 1},
        "added": {},
        "dropped_bookkeeping": {"image path": 1},
        "sidecars": [],
        "skipped": [],
        "exchanged": 0,
        "label_map": f"{tmp_path}/label_map.pbtxt",
        "label_map_reused": False,
        "notes": [],
        "seconds": report.to_dict()["seconds"],
    }
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert (tmp_path / "a.num").read_text() == "a.jpg [2, 1]\nb.jpg []\n"
    items = [f"item {{\n    id: {number}\n    name: '{name}'\n}}" for number, name in ((1, "date"), (2, "fig"))]
    assert (tmp_path / "label_map.pbtxt").read_text() == "\n\n".join(items)


def test_strict_writes_nothing_at_all(
    convert: Callable[..., ConversionReport],
    dataset: Callable[..., Dataset],
    sample: Callable[..., Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = dataset(sample("a.jpg", ("fig", 0, 0, 10.5, 10, {"difficult": 1})))
    with monkeypatch.context() as patched:
        patched.setattr("boxwright.datasets.outputs.AtomicOutput", None)  # not even a temporary file
        with pytest.raises(LossError, match="difficult: 1 box, sub-pixel coordinates: 1 box"):
            convert(data, f"numbers:{tmp_path}/new/a.num", strict=True)
    assert names_in(tmp_path) == []
    whole = dataset(sample("a.jpg", ("fig", 0, 0, 10, 10), attributes={"path": "elsewhere"}))
    assert convert(whole, f"numbers:{tmp_path}/a.num", strict=True).losses.bookkeeping == {"image path": 1}


# Problems


def test_items_that_are_skipped_are_listed_once(
    convert: Callable[..., ConversionReport], ground_truth: str, tmp_path: Path
) -> None:
    path = Path(ground_truth.removeprefix("lines:"))
    good = path.read_text("utf-8")
    cannot = '{"name": "cannot.jpg", "size": [1, 1], "boxes": []}\n'
    path.write_text("no json\n" + good + cannot + "{}\n", "utf-8")
    target = f"numbers:{tmp_path}/out/a.num"
    with pytest.raises(DataError, match="line 1: JSONDecodeError"):
        convert(ground_truth, target)
    assert not (tmp_path / "out").exists() or names_in(tmp_path / "out") == []
    # The dataset is read twice, for the classes and for the images.
    report = convert(ground_truth, target, on_error="skip")
    assert [(error.file, error.place) for error in report.skipped] == [
        (str(path), "line 1"),
        (str(path), "line 5"),
        (f"{path}, line 4", ""),
    ]
    assert list(report.samples.values()) == [2]
    assert [item["remedy"] for item in report.to_dict()["skipped"]] == [
        "correct the line",
        "correct the line",
        "leave it out",
    ]


def test_a_step_that_fails(convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"source of b\.jpg: the image is damaged"):
        convert(fruits, f"numbers:{tmp_path}/a.num", steps=["stamp:fail=b.jpg"])
    assert names_in(tmp_path) == []
    skipping = Dataset(fruits.reader, problems=Problems("skip"))
    report = convert(skipping, f"numbers:{tmp_path}/a.num", steps=["stamp:fail=b.jpg"], workers=3)
    assert [str(error.file) for error in report.skipped] == ["source of b.jpg"]
    assert (tmp_path / "a.num").read_text() == "a.jpg [2, 1]\nc.jpg [2]\n"
    assert report.notes == ["4 stamped"]  # the classes are searched first


def test_an_empty_dataset(
    convert: Callable[..., ConversionReport], dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="there are no annotated images in it"):
        convert(dataset(), f"numbers:{tmp_path}/a.num")
    (tmp_path / "bad.jsonl").write_text("x\ny\n", "utf-8")
    with pytest.raises(DataError, match=r"every one of its 2 items was skipped; the first: .*line 1"):
        convert(f"lines:{tmp_path}/bad.jsonl", f"numbers:{tmp_path}/a.num", on_error="skip")
    assert names_in(tmp_path) == ["bad.jsonl"]


def test_threads_keep_the_order(
    convert: Callable[..., ConversionReport],
    dataset: Callable[..., Dataset],
    sample: Callable[..., Sample],
    toys: types.ModuleType,
    tmp_path: Path,
) -> None:
    meeting = threading.Barrier(2, timeout=30)

    class Meeting:
        """The first two images wait for each other, which fails if they are not in two threads."""

        per_sample = True

        def __call__(self, samples: Any) -> Iterator[Sample]:
            for each in samples:
                if each.image.name in ("0.jpg", "1.jpg"):
                    meeting.wait()
                yield each

    samples = [sample(f"{number}.jpg", ("fig", 0, 0, number, number)) for number in range(50)]
    data = dataset(*samples, problems=Problems("skip"))
    many, one = toys.Stamp(fail="30.jpg"), toys.Stamp(fail="30.jpg")
    report = convert(data, f"lines:{tmp_path}/many.jsonl", steps=[Meeting(), many], workers=4)
    convert(data, f"lines:{tmp_path}/one.jsonl", steps=[one], workers=1)
    assert (tmp_path / "many.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert [json.loads(line)["name"] for line in (tmp_path / "many.jsonl").read_text().splitlines()] == [
        f"{number}.jpg" for number in range(50) if number != 30
    ]
    assert [error.file for error in report.skipped] == ["source of 30.jpg"]
    assert one.threads == {threading.main_thread().name}
