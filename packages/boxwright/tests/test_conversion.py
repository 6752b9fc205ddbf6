"""Conversions: their counts, what they refuse, and that a target is complete or unchanged."""

from __future__ import annotations

import dataclasses
import json
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import boxwright
from boxwright import (
    Boxes,
    ConversionReport,
    DataError,
    Dataset,
    FormatSpec,
    ImageRef,
    LabelMap,
    LossError,
    Option,
    OutputError,
    PluginNotFoundError,
    Sample,
    TransformSpec,
    UsageError,
)
from boxwright.datasets.losses import LossCounter, unit
from boxwright.datasets.problems import Problems
from boxwright.plugins.registry import Registry

ITEM = "item {{\n    id: {}\n    name: '{}'\n}}"


class NumbersWriter:
    """A format of class ids: one line per image."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        assert label_map is not None
        self.file, self.label_map = output.open(), label_map

    def write(self, sample: Sample) -> None:
        if sample.image.name == "cannot.jpg":
            raise DataError(sample.source, "cannot be written", "leave it out")
        numbers = [self.label_map.id(label) for label in sample.boxes.labels]
        self.file.write(f"{sample.image.name} {numbers}\n".encode())

    def close(self) -> None:
        self.file.close()


class FolderWriter:
    """A format of one file per image, in a folder."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        self.output = output

    def write(self, sample: Sample) -> None:
        with self.output.open(f"{sample.image.name}.txt") as file:
            file.write(" ".join(sample.boxes.labels).encode())

    def close(self) -> None:
        """Does nothing, because no file is open."""


class Stamp:
    """Sets the split of every sample by its name, or fails; records its calls."""

    per_sample = True

    def __init__(self, parts: str = "train", fail: str = "") -> None:
        self.parts, self.fail, self.done = parts.split("+"), fail, 0
        self.threads: set[str] = set()

    def __call__(self, samples: Any) -> Iterator[Sample]:
        for sample in samples:
            self.threads.add(threading.current_thread().name)
            if sample.image.name == self.fail:
                raise DataError(sample.source, "the image is damaged", "replace it")
            self.done += 1
            yield sample.replace(split=self.parts[ord(sample.image.name[0]) % len(self.parts)])

    def notes(self) -> list[str]:
        return [f"{self.done} stamped"]


@pytest.fixture
def registry(make_registry: Callable[..., Registry], toys: types.ModuleType) -> Registry:
    for thing in (NumbersWriter, FolderWriter, Stamp):
        setattr(toys, thing.__name__, thing)
    numbers = FormatSpec(
        name="numbers",
        write="toys:NumbersWriter",
        carries=frozenset({"empty"}),
        numbered=True,
        label_map_file="label_map.pbtxt",
        suffixes=(".num",),
    )
    return make_registry(
        numbers,
        dataclasses.replace(numbers, name="bare", label_map_file=""),
        FormatSpec(name="folder", write="toys:FolderWriter", target="folder", label_map_file="classes.pbtxt"),
        FormatSpec(name="read-only", load="toys:None"),
        TransformSpec(name="stamp", load="toys:Stamp", positional="parts", options=(Option("parts"), Option("fail"))),
    )


@pytest.fixture
def convert(registry: Registry) -> Callable[..., ConversionReport]:
    def run(source: Any, target: str, **options: Any) -> ConversionReport:
        return boxwright.convert(source, target, registry=registry, **options)

    return run


@pytest.fixture
def fruits(dataset: Callable[..., Dataset], sample: Callable[..., Sample]) -> Dataset:
    return dataset(
        sample("a.jpg", ("fig", 0, 0, 10, 10), ("date", 1, 1, 5, 5)),
        sample("b.jpg"),
        sample("c.jpg", ("fig", 2, 2, 9, 9)),
    )


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
    assert nothing.losses.dropped == {
        "difficult": 2,
        "pose": 1,
        "images without boxes": 1,
        "image database": 1,
        "split": 1,
        "embedded images": 1,
    }
    assert nothing.losses.changed == {"sub-pixel coordinates": 2}
    assert nothing.losses.bookkeeping == {"image folder": 2, "image path": 1}
    assert nothing.losses.describe() == (
        "difficult: 2 boxes, embedded images: 1 image, image database: 1 image, "
        "images without boxes: 1 image, pose: 1 box, split: 1 image, sub-pixel coordinates: 2 boxes"
    )
    assert some.losses.dropped == {"difficult": 2, "embedded images": 1}
    assert some.losses.changed == {"sub-pixel coordinates": 2}
    assert not everything.losses
    assert everything.losses.describe() == ""
    assert unit("split", 2) == "images"


def test_losses_count_additions_and_attributes_of_the_dataset(sample: Callable[..., Sample]) -> None:
    spec = FormatSpec(
        name="some",
        carries=frozenset({"subpixel", "box.*", "image.*", "dataset.info"}),
        adds=frozenset({"image.sha256", "box.area"}),
    )
    counter = LossCounter(spec, dataset_attributes={"info": {}, "licenses": []})
    counter.count(sample("a", ("x", 0, 0, 9, 9, {"area": 50.0}), ("x", 1, 1, 5, 5)))
    counter.count(sample("b", ("x", 0, 0, 9, 9, {"area": 50.0}), attributes={"sha256": "0"}))
    assert counter.losses.added == {"image sha256": 1, "area": 1}
    assert counter.losses.dropped == {"dataset licenses": 1}
    assert counter.losses.rows() == [
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
    assert (tmp_path / "label_map.pbtxt").read_text() == ITEM.format(1, "date") + "\n\n" + ITEM.format(2, "fig")


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


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("read-only:{}/a", UsageError, "can be read and not written"),
        ("{}/a.xyz", UsageError, "does not say which format to write"),
        ("numbers:{}/a.num?x=1", UsageError, "has no option 'x'"),
        ("nmubers:{}/a.num", PluginNotFoundError, "did you mean 'numbers'"),
        ("numbers:{}/{{split}}.num", UsageError, "has no split"),
    ],
)
def test_targets_that_are_refused(
    convert: Callable[..., ConversionReport],
    fruits: Dataset,
    tmp_path: Path,
    target: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        convert(fruits, target.format(tmp_path))
    assert names_in(tmp_path) == []


def test_a_format_by_its_suffix(convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path) -> None:
    assert convert(fruits, f"{tmp_path}/a.JSONL").targets == [f"lines:{tmp_path}/a.JSONL"]


def test_an_existing_target_is_refused_before_any_work(
    convert: Callable[..., ConversionReport], tmp_path: Path
) -> None:
    class Untouchable:
        info = boxwright.DatasetInfo(format="x", location="x")

        def read(self, on_problem: object) -> Iterator[Sample]:
            raise AssertionError("it was read")

    (tmp_path / "a.jsonl").write_text("old", "utf-8")
    with pytest.raises(OutputError, match="exists already"):
        convert(Dataset(Untouchable()), f"lines:{tmp_path}/a.jsonl")
    assert (tmp_path / "a.jsonl").read_text("utf-8") == "old"


# Label maps


def test_the_label_map_next_to_the_target_is_used(
    convert: Callable[..., ConversionReport],
    fruits: Dataset,
    dataset: Callable[..., Dataset],
    sample: Callable[..., Sample],
    tmp_path: Path,
) -> None:
    label_map = tmp_path / "label_map.pbtxt"
    label_map.write_text("item { id: 7 name: 'fig' } item { id: 3 name: 'date' } item { id: 5 name: 'kiwi' }", "utf-8")
    before = label_map.read_bytes()
    report = convert(fruits, f"numbers:{tmp_path}/a.num")
    assert (tmp_path / "a.num").read_text() == "a.jpg [7, 3]\nb.jpg []\nc.jpg [7]\n"
    assert (report.label_map, report.label_map_reused) == (str(label_map), True)
    assert label_map.read_bytes() == before
    unknown = dataset(sample("d.jpg", ("fig", 0, 0, 1, 1), ("plum", 0, 0, 1, 1)))
    with pytest.raises(DataError, match=r"source of d\.jpg, box 2: the class 'plum' is not in .*label_map\.pbtxt"):
        convert(unknown, f"numbers:{tmp_path}/b.num")
    assert names_in(tmp_path) == ["a.num", "label_map.pbtxt"]


def test_a_label_map_file_of_choice(convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path) -> None:
    chosen = tmp_path / "maps" / "map.pbtxt"
    report = convert(fruits, f"bare:{tmp_path}/a.num", label_map=chosen)
    assert (report.label_map, report.label_map_reused) == (str(chosen), False)
    assert LabelMap.from_pbtxt(chosen.read_text()).names == ("date", "fig")
    chosen.write_text("item { id: 4 name: 'fig' } item { id: 9 name: 'date' }", "utf-8")
    assert convert(fruits, f"numbers:{tmp_path}/b.num", label_map=str(chosen)).label_map_reused
    assert (tmp_path / "b.num").read_text().startswith("a.jpg [4, 9]\n")
    assert names_in(tmp_path) == ["a.num", "b.num", "maps", "maps/map.pbtxt"]
    chosen.write_text("no label map", "utf-8")
    with pytest.raises(DataError, match=r"map\.pbtxt, line 1"):
        convert(fruits, f"numbers:{tmp_path}/c.num", label_map=chosen)


def test_a_given_label_map_never_renumbers_an_existing_one(
    convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path
) -> None:
    given = LabelMap.from_names(["kiwi", "fig", "date"], sort=False)
    convert(fruits, f"numbers:{tmp_path}/train.num", label_map=given)
    assert LabelMap.from_pbtxt((tmp_path / "label_map.pbtxt").read_text()) == given
    assert convert(fruits, f"numbers:{tmp_path}/test.num", label_map=given).label_map_reused
    with pytest.raises(OutputError, match="has other classes than the given label map"):
        convert(fruits, f"numbers:{tmp_path}/c.num", label_map=LabelMap.from_names(given.names))
    assert names_in(tmp_path) == ["label_map.pbtxt", "test.num", "train.num"]


def test_a_datasets_own_numbers_are_kept(
    convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path
) -> None:
    own = LabelMap.from_pbtxt("item { id: 90 name: 'fig' } item { id: 2 name: 'date' }")
    for number, format in enumerate(("numbers", "folder")):
        report = convert(fruits.with_label_map(own), f"{format}:{tmp_path}/{number}/out")
        assert LabelMap.from_pbtxt(Path(report.label_map).read_text()) == own
    convert(fruits.with_label_map(own), f"bare:{tmp_path}/a.num")  # which has no label map file
    assert (tmp_path / "a.num").read_text() == "a.jpg [90, 2]\nb.jpg []\nc.jpg [90]\n"
    with pytest.raises(DataError, match="the class 'date' is not in the dataset's label map"):
        convert(fruits.with_label_map(LabelMap.from_names(["fig"])), f"numbers:{tmp_path}/x.num")


def test_the_label_map_of_a_folder_is_in_it(
    convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path
) -> None:
    for overwrite in (False, True):
        report = convert(fruits, f"folder:{tmp_path}/out", overwrite=overwrite)
        assert report.label_map == f"{tmp_path}/out/classes.pbtxt"
        assert report.label_map_reused is overwrite
        assert names_in(tmp_path / "out") == ["a.jpg.txt", "b.jpg.txt", "c.jpg.txt", "classes.pbtxt"]
        assert LabelMap.from_pbtxt((tmp_path / "out/classes.pbtxt").read_text()).names == ("date", "fig")


def test_a_dataset_that_fails_leaves_no_label_map(
    convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leftover would decide the classes of the next conversion."""
    import os

    rename = os.rename

    def failing(source: str, target: str) -> None:
        if str(target).endswith(".num"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr("os.rename", failing)
    with pytest.raises(OutputError, match="Input/output error"):
        convert(fruits, f"numbers:{tmp_path}/a.num")
    assert names_in(tmp_path) == []


# Splits


def test_a_target_for_each_split(convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path) -> None:
    report = convert(fruits, f"numbers:{tmp_path}/{{split}}/x-{{split}}.num", steps=["stamp:train+test"])
    assert report.samples == {f"numbers:{tmp_path}/test/x-test.num": 2, f"numbers:{tmp_path}/train/x-train.num": 1}
    assert report.targets == list(report.samples)
    assert not report.losses.dropped["split"]
    assert names_in(tmp_path) == ["label_map.pbtxt", "test", "test/x-test.num", "train", "train/x-train.num"]
    one = convert(fruits, f"numbers:{tmp_path}/all.num", steps=["stamp:train+test"])
    assert one.losses.dropped["split"] == 3


def test_folders_for_each_split(convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path) -> None:
    convert(fruits, f"folder:{tmp_path}/part-{{split}}/data", steps=["stamp:a+b"])
    assert names_in(tmp_path) == [
        "classes.pbtxt",
        "part-a",
        "part-a/data",
        "part-a/data/b.jpg.txt",
        "part-b",
        "part-b/data",
        "part-b/data/a.jpg.txt",
        "part-b/data/c.jpg.txt",
    ]


def test_an_existing_split_prevents_all_others(
    convert: Callable[..., ConversionReport], fruits: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "train.num").write_text("old")
    with pytest.raises(OutputError, match=r"train\.num exists already"):
        convert(fruits, f"numbers:{tmp_path}/{{split}}.num", steps=["stamp:train+test"])
    assert names_in(tmp_path) == ["train.num"]
    assert (tmp_path / "train.num").read_text() == "old"


@pytest.mark.parametrize("split", ["../away", "a/b", "a\\b", "", "..", "c:"])
def test_splits_with_paths_outside(
    convert: Callable[..., ConversionReport],
    dataset: Callable[..., Dataset],
    sample: Callable[..., Sample],
    tmp_path: Path,
    split: str,
) -> None:
    data = dataset(sample("a.jpg", split=split))
    with pytest.raises(DataError, match="cannot be part of a file name"):
        convert(data, f"lines:{tmp_path}/in/{{split}}.jsonl")
    assert [name for name in names_in(tmp_path) if name != "in"] == []


def test_no_file_for_a_split_placeholder(convert: Callable[..., ConversionReport], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder matches {split}"):
        convert(f"lines:{tmp_path}/{{split}}.jsonl", f"lines:{tmp_path}/a.jsonl")


# Source and target at one location


def test_a_source_inside_the_target_is_refused(
    convert: Callable[..., ConversionReport], tmp_path: Path, ground_truth: str
) -> None:
    folder = tmp_path / "train" / "deep"
    folder.mkdir(parents=True)
    source = folder / "ground_truth.jsonl"
    source.write_bytes(Path(ground_truth.removeprefix("lines:")).read_bytes())
    for target in (f"folder:{tmp_path}", f"folder:{tmp_path}/deeper/../train", f"folder:{tmp_path}/{{split}}"):
        with pytest.raises(UsageError, match="contains the source"):
            convert(f"lines:{source}", target, overwrite=True, steps=["stamp:train"])
    assert source.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [Path(ground_truth).name, "train"]


def test_a_dataset_may_replace_itself(convert: Callable[..., ConversionReport], ground_truth: str) -> None:
    path = Path(ground_truth.removeprefix("lines:"))
    with pytest.raises(OutputError, match="exists already"):
        convert(ground_truth, ground_truth)
    report = convert(ground_truth, ground_truth, steps=["only-annotated"], overwrite=True)
    assert report.boxes == 3
    assert len(path.read_text("utf-8").splitlines()) == 2
    assert names_in(path.parent) == [path.name]


# Remote locations, and threads


def test_from_memory_to_memory(registry: Registry, toys: types.ModuleType) -> None:
    class RemoteReader:
        def __init__(self, location: str) -> None:
            self.location = location
            self.info = boxwright.DatasetInfo(format="remote", location=location)

        def read(self, on_problem: object) -> Iterator[Sample]:
            with fsspec.open(self.location, "rt", encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    yield Sample(
                        image=ImageRef(name=row["name"], width=1, height=1),
                        boxes=Boxes([box[0] for box in row["boxes"]], [box[1:] for box in row["boxes"]]),
                    )

    toys.RemoteReader = RemoteReader  # type: ignore[attr-defined]
    record = next(record for record in registry.plugins.records if record.name == "toys")
    record.specs[:] = [
        (kind, dataclasses.replace(spec, load="toys:RemoteReader") if spec.name == "lines" else spec)
        for kind, spec in record.specs
    ]
    files = fsspec.filesystem("memory")
    files.store.clear()  # it is shared by the whole process
    files.pseudo_dirs[:] = [""]
    files.pipe("/in/a.jsonl", b'{"name": "a.jpg", "size": [1, 1], "boxes": [["fig", 0, 0, 1, 1]]}\n')
    try:
        report = boxwright.convert("lines:memory://in/a.jsonl", "numbers:memory://out/b.num", registry=registry)
        assert report.label_map == "memory://out/label_map.pbtxt"
        folder = boxwright.convert("lines:memory://in/a.jsonl", "folder:memory://dir", registry=registry)
        assert folder.label_map == "memory://dir/classes.pbtxt"
        assert sorted(files.find("/")) == [
            "/dir/a.jpg.txt",
            "/dir/classes.pbtxt",
            "/in/a.jsonl",
            "/out/b.num",
            "/out/label_map.pbtxt",
        ]
        assert files.cat("/out/b.num") == b"a.jpg [1]\n"
        assert files.cat("/out/label_map.pbtxt").decode() == ITEM.format(1, "fig")
    finally:
        files.store.clear()
        files.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("target", ["lines:s4://bucket/a.jsonl", "lines:csv://a.jsonl"])
def test_an_unknown_scheme(convert: Callable[..., ConversionReport], fruits: Dataset, target: str) -> None:
    with pytest.raises(UsageError, match="Protocol not known"):
        convert(fruits, target)


def test_threads_keep_the_order(
    convert: Callable[..., ConversionReport],
    dataset: Callable[..., Dataset],
    sample: Callable[..., Sample],
    tmp_path: Path,
) -> None:
    meeting = threading.Barrier(2, timeout=30)

    class Meeting:
        """The first two images wait for each other, so they need two threads; the second is done first."""

        per_sample = True

        def __call__(self, samples: Any) -> Iterator[Sample]:
            for each in samples:
                if each.image.name in ("0.jpg", "1.jpg"):
                    meeting.wait()
                yield each

    samples = [sample(f"{number}.jpg", ("fig", 0, 0, number, number)) for number in range(50)]
    data = dataset(*samples, problems=Problems("skip"))
    many, one = Stamp(fail="30.jpg"), Stamp(fail="30.jpg")
    report = convert(data, f"lines:{tmp_path}/many.jsonl", steps=[Meeting(), many], workers=4)
    convert(data, f"lines:{tmp_path}/one.jsonl", steps=[one], workers=1)
    assert (tmp_path / "many.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert [json.loads(line)["name"] for line in (tmp_path / "many.jsonl").read_text().splitlines()] == [
        f"{number}.jpg" for number in range(50) if number != 30
    ]
    assert [error.file for error in report.skipped] == ["source of 30.jpg"]
    assert len(many.threads) > 1
    assert one.threads == {threading.main_thread().name}
