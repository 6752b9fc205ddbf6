"""Targets of conversions: label maps, splits and remote places; each is complete or unchanged."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

import boxwright
from boxwright import (
    Boxes,
    ConversionReport,
    DataError,
    Dataset,
    ImageRef,
    LabelMap,
    OutputError,
    PluginNotFoundError,
    Sample,
    UsageError,
)
from boxwright.plugins.registry import Registry

ITEM = "item {{\n    id: {}\n    name: '{}'\n}}"


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# Targets


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


# Remote locations


def test_from_memory_to_memory(targets: Registry, toys: types.ModuleType) -> None:
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
    record = next(record for record in targets.plugins.records if record.name == "toys")
    record.specs[:] = [
        (kind, dataclasses.replace(spec, load="toys:RemoteReader") if spec.name == "lines" else spec)
        for kind, spec in record.specs
    ]
    files = fsspec.filesystem("memory")
    files.store.clear()  # it is shared by the whole process
    files.pseudo_dirs[:] = [""]
    files.pipe("/in/a.jsonl", b'{"name": "a.jpg", "size": [1, 1], "boxes": [["fig", 0, 0, 1, 1]]}\n')
    try:
        report = boxwright.convert("lines:memory://in/a.jsonl", "numbers:memory://out/b.num", registry=targets)
        assert report.label_map == "memory://out/label_map.pbtxt"
        folder = boxwright.convert("lines:memory://in/a.jsonl", "folder:memory://dir", registry=targets)
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
