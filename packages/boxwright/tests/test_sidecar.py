"""Sidecars: they restore what a limited format loses, and do not override manual changes."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import boxwright
from boxwright import (
    Boxes,
    DataError,
    Dataset,
    DatasetInfo,
    FormatSpec,
    ImageRef,
    LabelMap,
    OutputError,
    Sample,
    UsageError,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.datasets.sidecar import sidecar_path
from boxwright.plugins.registry import Registry

EVERYTHING = (
    ("a.jpg", ("fig", 10.25, 8, 30, 24.5, {"difficult": 1, "note": ["x", 1.5, None]}), ("date", 50, 40, 70, 56)),
    ("b.jpg",),
    ("ü/c.jpg", ("fig", 0, 0, 1, 1)),
)


class PoorWriter:
    """One line per box: NAME WIDTH HEIGHT LABEL XMIN YMIN XMAX YMAX, with coordinates rounded to whole pixels."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        self.file = output.open()

    def write(self, sample: Sample) -> None:
        image = sample.image
        for label, coordinates in zip(sample.boxes.labels, sample.boxes.coordinates, strict=True):
            row = [image.name, image.width, image.height, label, *map(round, coordinates)]
            self.file.write((" ".join(map(str, row)) + "\n").encode())

    def close(self) -> None:
        self.file.close()


class PoorReader:
    def __init__(self, location: str) -> None:
        self.location = location
        self.info = DatasetInfo(format="poor", location=location)

    def read(self, on_problem: Any) -> Iterator[Sample]:
        images: dict[str, list[list[str]]] = {}
        for line in Path(self.location).read_text("utf-8").splitlines():
            name, *fields = line.split(" ")
            images.setdefault(name, []).append(fields)
        for name, rows in images.items():
            yield Sample(
                image=ImageRef(name=name, width=int(rows[0][0]), height=int(rows[0][1])),
                boxes=Boxes([row[2] for row in rows], [tuple(map(float, row[3:])) for row in rows]),  # type: ignore[misc]
            )


@pytest.fixture
def poor(make_registry: Callable[..., Registry], toys: types.ModuleType) -> Registry:
    toys.PoorReader, toys.PoorWriter = PoorReader, PoorWriter  # type: ignore[attr-defined]
    return make_registry(FormatSpec(name="poor", load="toys:PoorReader", write="toys:PoorWriter", suffixes=(".poor",)))


@pytest.fixture
def there(poor: Registry, sample: Callable[..., Sample], tmp_path: Path) -> Path:
    """A file of the limited format, with a sidecar."""
    samples = [sample(*each, split="train", attributes={"camera": "left"}) for each in EVERYTHING]
    info = DatasetInfo(
        format="memory",
        location="m",
        attributes={"info": {"year": 2026}},
        label_map=LabelMap.from_names(["z", "fig", "date"], sort=False),
    )
    reader = SampleReader(samples)
    reader.info = info
    boxwright.convert(Dataset(reader), f"poor:{tmp_path}/x.poor", sidecar=True, registry=poor)
    return tmp_path / "x.poor"


def read(path: Path, poor: Registry) -> list[Sample]:
    return list(boxwright.open(f"poor:{path}", registry=poor))


def facts(sample: Sample) -> tuple[Any, ...]:
    image = sample.image
    return (image.name, image.width, image.height, sample.boxes, sample.split, sample.attributes)


def test_everything_is_restored(there: Path, poor: Registry, sample: Callable[..., Sample]) -> None:
    assert there.read_text("utf-8").splitlines() == [
        "a.jpg 100 80 fig 10 8 30 24",
        "a.jpg 100 80 date 50 40 70 56",
        "ü/c.jpg 100 80 fig 0 0 1 1",
    ]
    back = sorted(read(there, poor), key=lambda each: each.image.name)
    asked = [sample(*each, split="train", attributes={"camera": "left"}) for each in EVERYTHING]
    assert [facts(each) for each in back] == [facts(each) for each in asked]
    info = boxwright.open(f"poor:{there}", registry=poor).info
    assert info.attributes == {"info": {"year": 2026}}
    assert info.label_map is not None
    assert info.label_map.names == ("z", "fig", "date")
    assert str(there) in info.notes[-1]


def test_manual_changes_have_priority_over_the_sidecar(there: Path, poor: Registry) -> None:
    there.write_text(
        "a.jpg 100 80 date 51 40 70 56\n"  # moved by a pixel, and now first
        "a.jpg 100 80 fig 10 8 60 24\n"  # made wider
        "new.jpg 100 80 fig 1 2 3 4\n",
        "utf-8",
    )
    first, second, third = read(there, poor)
    assert first.boxes.coordinates == ((50, 40, 70, 56), (10, 8, 60, 24)), (
        "within a pixel: the exact coordinates are restored"
    )
    assert [dict(each) for each in first.boxes.attributes] == [{}, {}]
    assert (first.split, first.attributes) == ("train", {"camera": "left"})
    assert (second.image.name, second.split) == ("new.jpg", None)
    assert third.image.name == "b.jpg", "c.jpg had boxes and was taken out, b.jpg could never be in"


def test_a_sidecar_names_the_file_that_changed_since(there: Path, poor: Registry) -> None:
    assert not [note for note in boxwright.open(f"poor:{there}", registry=poor).notes if "changed" in note]
    there.write_text(there.read_text("utf-8") + "z.jpg 9 9 fig 1 1 2 2\n", "utf-8")
    notes = boxwright.open(f"poor:{there}", registry=poor).notes
    assert notes[-1].startswith(f"{there.name} changed after the sidecar was written")


def test_boxes_near_each_other_keep_their_own_attributes(
    poor: Registry, sample: Callable[..., Sample], tmp_path: Path
) -> None:
    path = tmp_path / "x.poor"
    boxes = [("fig", x, 8, 30, 24, {"note": x}) for x in (10, 10.5, 11)]
    reader = SampleReader([sample("a.jpg", *boxes)])
    boxwright.convert(Dataset(reader), f"poor:{path}", sidecar=True, registry=poor)
    path.write_text(path.read_text("utf-8") + "a.jpg 100 80 date 1 2 3 4\n", "utf-8")  # changed since
    (back,) = read(path, poor)
    assert [each.get("note") for each in back.boxes.attributes] == [10, 10.5, 11, None]


def test_values_of_the_format_have_priority_over_the_sidecar(
    make_registry: Callable[..., Registry], toys: types.ModuleType, sample: Callable[..., Sample], tmp_path: Path
) -> None:
    carries = frozenset({"empty", "subpixel"})
    plugins = make_registry(
        FormatSpec(
            name="lines", load="my_plugin.reader:LinesReader", write="my_plugin.writer:LinesWriter", carries=carries
        )
    )
    path = tmp_path / "x.jsonl"
    data = Dataset(SampleReader([sample("a.jpg", ("fig", 10, 8, 30, 24, {"difficult": 1}))]))
    boxwright.convert(data, f"lines:{path}", sidecar=True, registry=plugins)
    path.write_text(path.read_text().replace("30", "30.75"), "utf-8")
    (back,) = boxwright.open(f"lines:{path}", registry=plugins)
    assert back.boxes.coordinates == ((10, 8, 30.75, 24),)
    assert dict(back.boxes.attributes[0]) == {"difficult": 1}


numbers = st.floats(-20, 300, allow_nan=False)
coordinates = st.tuples(numbers, numbers, numbers, numbers).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)
values = st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.floats(allow_nan=False), st.none())
marked = st.lists(
    st.tuples(st.sampled_from(["fig", "date"]), coordinates, st.dictionaries(st.text(max_size=3), values)), max_size=4
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(marked, st.sampled_from([None, "train"]), st.dictionaries(st.text(max_size=3), values))
def test_any_sample_is_restored(
    poor: Registry,
    tmp_path: Path,
    boxes: list[tuple[str, Any, dict[str, Any]]],
    split: str | None,
    attributes: dict[str, Any],
) -> None:
    one = Sample(
        image=ImageRef(name="a.jpg", width=100, height=80),
        boxes=Boxes([b[0] for b in boxes], [b[1] for b in boxes], [b[2] for b in boxes]),
        split=split,
        attributes=attributes,
    )
    path = tmp_path / "x.poor"
    boxwright.convert(Dataset(SampleReader([one])), f"poor:{path}", sidecar=True, overwrite=True, registry=poor)
    assert [facts(each) for each in read(path, poor)] == [facts(one)]


def test_strict_is_content_with_a_sidecar(poor: Registry, sample: Callable[..., Sample], tmp_path: Path) -> None:
    data = Dataset(SampleReader([sample(*EVERYTHING[0])]))
    report = boxwright.convert(data, f"poor:{tmp_path}/x.poor", sidecar=True, strict=True, registry=poor)
    assert report.sidecars == [f"{tmp_path}/x.poor.sidecar.jsonl"]
    assert report.losses.dropped == {"difficult": 1, "note": 1}


def test_a_sidecar_does_not_outlive_its_dataset(there: Path, poor: Registry, sample: Callable[..., Sample]) -> None:
    sidecar = Path(f"{there}.sidecar.jsonl")
    data = Dataset(SampleReader([sample("a.jpg", ("fig", 10, 8, 30, 24))]))
    boxwright.convert(data, f"poor:{there}", overwrite=True, registry=poor)
    assert not sidecar.exists()
    there.unlink()
    sidecar.write_text("{}")
    with pytest.raises(OutputError, match=r"sidecar\.jsonl exists already"):
        boxwright.convert(data, f"poor:{there}", registry=poor)
    assert not there.exists()


REST = '"size": [8, 6], "labels": [], "edges": [], "box_attributes": null'
SURROGATES = (
    r'"name": "\ud800.jpg", "split": null, "attributes": {}',
    r'"name": "ü/c.jpg", "split": "\ud800", "attributes": {}',
    r'"name": "ü/c.jpg", "split": null, "attributes": {"\ud800": 1}',
)


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (0, "{", "line 1"),
        (0, '{"boxwright_sidecar": 99}', "of this version"),
        (0, "[]", "not a JSON object"),
        (1, '{"name": "a.jpg", "labels": ["x"]}', "line 2"),
        (1, "\x00", "line 2"),
        *((2, f'{{"read": "", {values}, {REST}}}', "line 3: .*surrogate") for values in SURROGATES),
        (
            2,
            '{"name": "ü/c.jpg", "read": "", "size": [1], "labels": [], "edges": [], "box_attributes": null}',
            "line 3",
        ),
    ],
)
def test_a_damaged_sidecar_is_reported(there: Path, poor: Registry, line: int, text: str, says: str) -> None:
    sidecar = Path(f"{there}.sidecar.jsonl")
    lines = sidecar.read_text("utf-8").splitlines()
    lines[line] = text
    sidecar.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(DataError, match=says) as raised:
        read(there, poor)
    assert "sidecar.jsonl" in str(raised.value)
    assert "remove it" in raised.value.remedy


def test_an_attribute_that_json_cannot_hold_is_refused(
    poor: Registry, sample: Callable[..., Sample], tmp_path: Path
) -> None:
    data = Dataset(SampleReader([sample("a.jpg", ("fig", 1, 2, 3, 4, {"mask": b"raw"}))]))
    with pytest.raises(DataError, match="a sidecar file could hold"):
        boxwright.convert(data, f"poor:{tmp_path}/x.poor", sidecar=True, registry=poor)
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_cannot_be_read_gets_none(
    make_registry: Callable[..., Registry], toys: types.ModuleType, sample: Callable[..., Sample], tmp_path: Path
) -> None:
    toys.PoorWriter = PoorWriter  # type: ignore[attr-defined]
    plugins = make_registry(FormatSpec(name="poor", write="toys:PoorWriter"))
    with pytest.raises(UsageError, match="cannot be read"):
        boxwright.convert(
            Dataset(SampleReader([sample("a.jpg")])), f"poor:{tmp_path}/x", sidecar=True, registry=plugins
        )


def test_a_sidecar_is_readable_json_lines(there: Path) -> None:
    head, *records = [json.loads(line) for line in Path(f"{there}.sidecar.jsonl").read_text("utf-8").splitlines()]
    assert head["boxwright_sidecar"] == 1
    assert [record["name"] for record in records] == ["a.jpg", "ü/c.jpg", "b.jpg"]
    assert records[2]["read"] is None
    assert records[0]["edges"][0] == [10.25, 8.0, 30.0, 24.5]


def test_its_location() -> None:
    file, folder = FormatSpec(name="file"), FormatSpec(name="folder", target="folder")
    assert sidecar_path(file, "s3://b/train.record") == "s3://b/train.record.sidecar.jsonl"
    assert sidecar_path(file, "train.record@10") == "train.record.sidecar.jsonl"
    assert sidecar_path(file, "train.record-?????-of-00010") == "train.record.sidecar.jsonl"
    assert sidecar_path(folder, "photos") == "photos/boxwright.sidecar.jsonl"
