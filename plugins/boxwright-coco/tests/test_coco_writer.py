from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

import boxwright
from boxwright import (
    Boxes,
    Coordinates,
    DataError,
    Dataset,
    ImageRef,
    LabelMap,
    LabelMapItem,
    OutputError,
    Sample,
    UsageError,
)
from boxwright.datasets import SampleReader
from boxwright.storage import AtomicOutput
from boxwright_coco.numbers import Numbering, far_coordinate, span_between
from boxwright_coco.reader import CocoReader
from boxwright_coco.writer import CocoWriter

SPEC_FILE: dict[str, Any] = {
    "info": {"year": 2017, "description": "COCO 2017 Dataset", "contributor": "COCO Consortium"},
    "licenses": [{"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}],
    "images": [
        {"id": 42, "width": 640, "height": 427, "file_name": "cam 1/вишня.jpg", "license": 1, "date_captured": "2013"},
        {"id": 7, "width": 640, "height": 427, "file_name": "empty.jpg", "coco_url": "http://images/7.jpg"},
        {"id": 9, "width": 640, "height": 427, "file_name": "9.jpg"},
    ],
    "annotations": [
        {
            "id": 1768,
            "image_id": 42,
            "category_id": 18,
            "segmentation": [[510.66, 423.01, 511.72, 420.03, 510.45, 416.0]],
            "area": 702.1057499999998,
            "bbox": [473.07, 395.93, 38.65, 28.67],
            "iscrowd": 0,
        },
        {
            "id": 900100397133,
            "image_id": 42,
            "category_id": 1,
            "segmentation": {"counts": [272, 2, 4, 4], "size": [427, 640]},
            "area": 6.5,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 1,
        },
        {
            "id": 3,
            "image_id": 9,
            "category_id": 90,
            "segmentation": {"counts": "ZR1`0", "size": [427, 640]},
            "area": 12,
            "bbox": [0.1, 0.2, 0.2, 100],
            "iscrowd": 1,
            "ignore": 1,
            "attributes": {"occluded": True, "track": None},
        },
    ],
    "categories": [
        {"id": 18, "name": "dog", "supercategory": "animal"},
        {"id": 1, "name": "person", "supercategory": "person", "keypoints": ["nose"], "skeleton": [[1, 2]]},
        {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
    ],
    "type": "instances",
    "note": None,
}


class Memory:
    """An output that keeps its file."""

    location = "memory.json"
    workplace = None

    def __init__(self, **dataset_attributes: Any) -> None:
        self.dataset_attributes: Mapping[str, Any] = dataset_attributes
        self.content = b""

    def open(self, name: str = "") -> io.BytesIO:
        output = self

        class File(io.BytesIO):
            def close(self) -> None:
                output.content = self.getvalue()
                super().close()

        return File()


def sample_of(
    name: str, labels: Sequence[str] = (), coordinates: Sequence[Coordinates] = (), *attributes: Any, **more: Any
) -> Sample:
    boxes = Boxes(labels, coordinates, attributes or None)
    return Sample(image=ImageRef(name=name, width=40, height=30), boxes=boxes, source="the source", attributes=more)


def write(*samples: Sample, label_map: LabelMap | None = None, info: Mapping[str, Any] = {}, **options: Any) -> Any:
    """The output, as the json module reads it."""
    output = Memory(**info)
    writer = CocoWriter(output, label_map, **options)
    for sample in samples:
        writer.write(sample)
    writer.close()
    return json.loads(output.content)


def raise_it(error: DataError) -> None:
    raise error


def convert(folder: Path, content: Any, target: str, **options: Any) -> Any:
    """Passes samples through the reader and the writer, like ``boxwright convert``."""
    (folder / "in.json").write_text(json.dumps(content), "utf-8")
    boxwright.convert(f"coco:{folder}/in.json", target, **options)
    return json.loads(Path(target.partition(":")[2].partition("?")[0]).read_text("utf-8"))


def test_a_file_of_the_specification_is_reproduced(tmp_path: Path) -> None:
    assert convert(tmp_path, SPEC_FILE, f"coco:{tmp_path}/out.json") == SPEC_FILE
    boxwright.convert(f"coco:{tmp_path}/out.json", f"coco:{tmp_path}/again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "out.json").read_bytes()


def test_bytes_are_as_expected(tmp_path: Path) -> None:
    samples = [
        sample_of('a "b".jpg', ["fig", "вишня"], [(1, 2.0, 30, 20), (0.1, 2, 30.25, 20)]),
        sample_of("c.jpg"),
        sample_of("d.jpg", ["fig"], [(-1, 0, 123456789012, 0)], {"score": 0.5}),
    ]
    boxwright.convert(Dataset(SampleReader(samples)), f"coco:{tmp_path}/out.json")
    assert (tmp_path / "out.json").read_text("utf-8") == (
        '{"info":{},"licenses":[],\n'
        '"images":[\n'
        '{"id":1,"file_name":"a \\"b\\".jpg","width":40,"height":30},\n'
        '{"id":2,"file_name":"c.jpg","width":40,"height":30},\n'
        '{"id":3,"file_name":"d.jpg","width":40,"height":30}\n'
        "],\n"
        '"annotations":[\n'
        '{"id":1,"image_id":1,"category_id":1,"bbox":[1,2,29,18],"area":522,"iscrowd":0,"segmentation":[]},\n'
        '{"id":2,"image_id":1,"category_id":2,"bbox":[0.1,2,30.15,18],"area":542.6999999999999,"iscrowd":0,'
        '"segmentation":[]},\n'
        '{"id":3,"image_id":3,"category_id":1,"bbox":[-1,0,123456789013,0],"area":0,"iscrowd":0,'
        '"segmentation":[],"score":0.5}\n'
        "],\n"
        '"categories":[\n'
        '{"id":1,"name":"fig"},\n'
        '{"id":2,"name":"вишня"}\n'
        "]}\n"
    )


def test_an_empty_dataset_is_a_complete_file() -> None:
    assert write() == {"info": {}, "licenses": [], "images": [], "annotations": [], "categories": []}


def test_classes_without_a_label_map_are_numbered_by_name() -> None:
    """The last class is the first by name, so ids are written before it is known."""
    marked = {"note": '"category_id":\x01"pear"\x01'}
    content = write(
        sample_of("a.jpg", ["pear", "\x01fig"], [(1, 2, 3, 4)] * 2, marked, {}),
        sample_of("b.jpg", ["apple", "pear", 'the "big" one'], [(1, 2, 3, 4)] * 3),
    )
    names = ["\x01fig", "apple", "pear", 'the "big" one']
    assert content["categories"] == [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    assert [row["category_id"] for row in content["annotations"]] == [3, 1, 2, 3, 4]
    assert content["annotations"][0]["note"] == marked["note"]


def test_classes_without_a_label_map_keep_their_other_keys() -> None:
    info = {"categories": [{"id": 9, "name": "pear", "supercategory": "fruit"}, {"id": 1, "name": "unused"}]}
    boxes = sample_of("a.jpg", ["fig", "pear"], [(1, 2, 3, 4)] * 2)
    assert write(boxes, info=info)["categories"] == [
        {"id": 9, "name": "pear", "supercategory": "fruit"},
        {"id": 1, "name": "fig"},
    ]
    counted = write(boxes, info=info, category_ids=False)
    assert [(each["id"], each["name"]) for each in counted["categories"]] == [(1, "pear"), (2, "fig")]
    assert [row["category_id"] for row in counted["annotations"]] == [2, 1]


def test_classes_have_the_ids_of_the_label_map(tmp_path: Path) -> None:
    classes = LabelMap(items=(LabelMapItem(id=18, name="dog"), LabelMapItem(id=3, name="car")))
    content = write(sample_of("a.jpg", ["car"], [(1, 2, 3, 4)]), label_map=classes)
    assert content["categories"] == [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]
    assert content["annotations"][0]["category_id"] == 3
    content = write(sample_of("a.jpg", ["car"], [(1, 2, 3, 4)]), label_map=classes, category_ids=False)
    assert content["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "car"}]
    assert content["annotations"][0]["category_id"] == 2
    with pytest.raises(DataError, match=r"the source: box 1 \(cat\): the class 'cat' is not in the label map"):
        write(sample_of("a.jpg", ["cat"], [(1, 2, 3, 4)], {"score": 1}), label_map=classes)
    counted = convert(tmp_path, SPEC_FILE, f"coco:{tmp_path}/out.json?category_ids=false")
    assert [each["id"] for each in counted["categories"]] == [1, 2, 3]
    assert [row["category_id"] for row in counted["annotations"]] == [1, 2, 3]
    (tmp_path / "map.pbtxt").write_text(
        "".join(f"item {{ id: {i} name: '{n}' }}" for i, n in [(5, "toothbrush"), (6, "dog"), (7, "person")])
    )
    given = convert(tmp_path, SPEC_FILE, f"coco:{tmp_path}/given.json", label_map=tmp_path / "map.pbtxt")
    assert [(each["id"], each["name"]) for each in given["categories"]] == [
        (5, "toothbrush"),
        (6, "dog"),
        (7, "person"),
    ]
    assert [row["category_id"] for row in given["annotations"]] == [6, 7, 5]


def test_free_ids_are_kept(tmp_path: Path) -> None:
    content = write(
        sample_of("a.jpg", ["fig"] * 3, [(1, 2, 3, 4)] * 3, {"id": 2}, {}, {"id": "x-7"}, source_id="3"),
        sample_of("b.jpg", ["fig"] * 2, [(1, 2, 3, 4)] * 2, {"id": 2}, {"id": 0}),
        sample_of("c.jpg", source_id="3"),
        sample_of("d.jpg", source_id="2007_000027"),
        sample_of("e.jpg", ["fig"], [(1, 2, 3, 4)], source_id="007"),
        sample_of("f.jpg", ["fig"], [(1, 2, 3, 4)], {"id": 2**63}, source_id="0"),
    )
    assert [(row["id"], row.get("source_id")) for row in content["images"]] == [
        *((3, None), (1, None), (2, None), (4, "2007_000027"), (5, "007"), (0, None)),
    ]
    assert [row["id"] for row in content["annotations"]] == [2, 1, 3, 4, 0, 5, 6]
    assert [row["image_id"] for row in content["annotations"]] == [3, 3, 3, 1, 1, 5, 0]
    counted = convert(tmp_path, SPEC_FILE, f"coco:{tmp_path}/out.json?ids=false")
    assert [row["id"] for row in counted["images"]] == [1, 2, 3]
    assert [(row["id"], row["image_id"]) for row in counted["annotations"]] == [(1, 1), (2, 1), (3, 3)]


@given(st.lists(st.none() | st.integers(-3, 12), max_size=30), st.integers(0, 30))
def test_ids_are_unique(requested: list[int | None], cut: int) -> None:
    numbering = Numbering()
    assigned: list[int] = []
    for number in requested[:cut]:
        free = number is not None and number not in assigned
        assigned.append(numbering.take(number))
        assert not free or assigned[-1] == number
    alone = Numbering()
    assigned += numbering.take_all(requested[cut:])
    assert assigned == [alone.take(number) for number in requested]
    assigned += numbering.take_all([None] * 3)
    assert len(set(assigned)) == len(assigned) == len(requested) + 3
    assert assigned[len(requested) :] == sorted(assigned[len(requested) :])


TAKEN = {
    "image_id": 5,
    "category_id": "x",
    "bbox": [1],
    "boxwright": {"edges": 1},
    "id": "abc",
    "area": "large",
    "iscrowd": "no",
    "segmentation": "none",
    "score": 0.5,
    "": {"a": [None, True, -0.5]},
}
IMAGE_TAKEN = {"id": 3, "file_name": "x", "width": "y", "height": None, "boxwright": [1], "annotations": 7}


def test_attributes_with_the_names_of_other_keys_are_restored(tmp_path: Path) -> None:
    """All other attributes are restored, too."""
    sample = sample_of("a.jpg", ["fig", "fig"], [(1, 2, 3, 4)] * 2, TAKEN, {}, **IMAGE_TAKEN)
    info = {"images": 1, "annotations": "x", "categories": {"a": 1}, "boxwright": None, "split": "train", "info": {}}
    reader = SampleReader([sample])
    reader.info = reader.info.model_copy(update={"attributes": info})
    boxwright.convert(Dataset(reader), f"coco:{tmp_path}/out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["annotations"][0]["bbox"] == [1, 2, 2, 2]
    assert content["images"][0]["file_name"] == "a.jpg"
    back = CocoReader(str(tmp_path / "out.json"))
    (found,) = back.read(raise_it)
    assert dict(found.boxes.attributes[0]) == TAKEN
    assert found.attributes == IMAGE_TAKEN | {"source_id": "1"}
    assert back.info.attributes == {key: value for key, value in info.items() if key != "info"}


@pytest.mark.parametrize(
    "value",
    [b"bytes", (1, 2), {1: "a"}, {1, 2}, float("nan"), [1.0, float("inf")], object(), {"a": (1,)}],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_represent_is_an_error(value: Any) -> None:
    good = sample_of("good.jpg", ["fig"], [(1, 2, 3, 4)])
    for bad in (sample_of("a.jpg", ["fig"], [(1, 2, 3, 4)], {"x": value}), sample_of("a.jpg", x=value)):
        output = Memory()
        writer = CocoWriter(output)
        writer.write(good)
        with pytest.raises(DataError, match=r"the source: .*the attribute 'x' cannot be written") as caught:
            writer.write(bad)
        assert caught.value.remedy
        writer.close()
        content = json.loads(output.content)
        assert [len(content[key]) for key in ("images", "annotations")] == [1, 1]
    with pytest.raises(DataError, match=r"memory\.json: the attribute 'x' cannot be written"):
        CocoWriter(Memory(x=value))


def test_unpaired_surrogates_are_written_as_escapes_except_in_classes() -> None:
    content = write(sample_of("a.jpg", ["fig"], [(1, 2, 3, 4)], {"note": "\ud83c\U0001f34e"}))
    assert content["annotations"][0]["note"] == "\ud83c\U0001f34e"
    with pytest.raises(DataError, match=r"the class '\\udcff' contains an unpaired surrogate"):
        write(sample_of("a.jpg", ["\udcff"], [(1, 2, 3, 4)]))


def test_names_that_are_duplicates_or_lead_outside_are_errors() -> None:
    writer = CocoWriter(Memory())
    writer.write(sample_of("a.jpg"))
    with pytest.raises(DataError, match=r"the source: duplicate image a\.jpg"):
        writer.write(sample_of("a.jpg"))
    for name in ("../a.jpg", "/a.jpg", "C:a.jpg", "a\\b.jpg", "x/../../a.jpg"):
        with pytest.raises(OutputError, match="leads outside"):
            writer.write(sample_of(name))
    writer.write(sample_of("a..b.jpg"))


def test_a_box_beyond_floats_is_an_error() -> None:
    for coordinates in [(0, 0, 1e200, 1e200), (-1e300, 0, 1e300, 1e10)]:
        with pytest.raises(DataError, match="too large"):
            write(sample_of("a.jpg", ["fig"], [coordinates]))


coordinate = st.floats(-1e6, 1e6) | st.floats(0, 500) | st.integers(-100, 4000).map(float) | st.floats(-1e18, 1e18)
decimals = st.integers(-(10**9), 10**9).map(lambda number: number / 10**6) | st.integers(0, 10**5).map(
    lambda n: n / 100
)


@given(st.lists(st.tuples(*[coordinate | decimals] * 4), min_size=1, max_size=5))
@example([(1 / 3, 0.1, 63.9, 47.123456)])
@example([(0.3, 5e-324, 1e22, 1e200)])
def test_coordinates_are_restored_exactly(numbers: list[Coordinates]) -> None:
    coordinates = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in numbers]
    output = Memory()
    writer = CocoWriter(output)
    writer.write(sample_of("a.jpg", ["fig"] * len(coordinates), coordinates))
    writer.close()
    (found,) = _read_bytes(output.content)
    assert list(found.boxes.coordinates) == coordinates
    assert all(set(attributes) == {"id"} for attributes in found.boxes.attributes)


def _read_bytes(content: bytes) -> list[Sample]:
    import fsspec

    fsspec.filesystem("memory").pipe("/coco-test/x.json", content)
    return list(CocoReader("memory://coco-test/x.json").read(raise_it))


@given(decimals, st.integers(0, 10**9).map(lambda number: number / 10**6))
@example(16.1, 44.2)
@example(0.1, 0.2)
def test_widths_with_few_decimals_are_written_as_they_were_read(near: float, span: float) -> None:
    assert span_between(near, far_coordinate(near, span)) == (span, True)


@given(
    st.one_of(st.floats(-1e10, 1e10), st.floats(-1e4, 1e4).map(lambda number: round(number, 2))),
    st.one_of(st.floats(0, 1e10), st.floats(0, 1e4).map(lambda number: round(number, 6))),
)
def test_a_width_is_exact_if_it_restores_the_coordinate(near: float, span: float) -> None:
    far = near + span
    found, exact = span_between(near, far)
    assert (far_coordinate(near, found) == far) == exact


def test_annotations_are_buffered_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one block is joined correctly, with and without a label map."""
    samples = [sample_of(f"{i}.jpg", [f"c{i % 7}"] * 5, [(i, 2, i + 3, 4)] * 5) for i in range(500)]
    late = write(*samples)
    known = write(*samples, label_map=LabelMap.from_names(f"c{i}" for i in range(7)))
    assert late == known
    assert len(late["annotations"]) == 2500
    assert [row["id"] for row in late["annotations"]] == list(range(1, 2501))
    assert late["annotations"][-1]["bbox"] == [499, 2, 3, 2]


def test_what_another_process_prepared_is_the_same(tmp_path: Path) -> None:
    import marshal

    samples = [
        sample_of("a.jpg", ["fig", "date"], [(1, 2, 3.5, 4)] * 2, {"id": 7}, {"note": [1]}, source_id="5", camera="x"),
        sample_of("b.jpg", ["fig"], [(1, 2, 3, 4)]),
    ]
    for label_map in (None, LabelMap.from_names(["date", "fig"])):
        expected = write(*samples, label_map=label_map)
        output = Memory()
        writer, other = CocoWriter(output, label_map), CocoWriter(Memory(), label_map)
        for sample in samples:
            writer.put(marshal.loads(marshal.dumps(other.prepare(sample))))
        writer.close()
        assert json.loads(output.content) == expected


@pytest.fixture
def truth(tmp_path: Path) -> str:
    (tmp_path / "truth.json").write_text(json.dumps(SPEC_FILE))
    return str(tmp_path / "truth.json")


def test_detections_get_the_ids_of_the_instances_file(truth: str) -> None:
    found = [
        sample_of("9.jpg", ["dog", "person"], [(1, 2, 3.5, 4), (0, 0, 5, 5)], {"score": 0.9}, {"score": 1, "id": 4}),
        sample_of("empty.jpg"),
        sample_of("cam 1/вишня.jpg", ["toothbrush"], [(1, 2, 3, 4)], {"score": 0.25, "angle": 3}),
    ]
    assert write(*found, kind="detections", truth=truth) == [
        {"image_id": 9, "category_id": 18, "bbox": [1, 2, 2.5, 2], "score": 0.9},
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 1, "id": 4},
        {"image_id": 42, "category_id": 90, "bbox": [1, 2, 2, 2], "score": 0.25, "angle": 3},
    ]
    with pytest.raises(DataError, match=r"the source: .*truth\.json contains no such image"):
        write(sample_of("other.jpg"), kind="detections", truth=truth)
    with pytest.raises(DataError, match=r"box 1 \(cat\): the class 'cat' is not in the label map \(dog, person, tooth"):
        write(sample_of("9.jpg", ["cat"], [(1, 2, 3, 4)], {"score": 1}), kind="detections", truth=truth)


def test_detections_without_instances_file_have_the_ids_of_the_images() -> None:
    classes = LabelMap(items=(LabelMapItem(id=18, name="dog"),))
    box = (["dog"], [(1, 2, 3, 4)], {"score": 0.5})
    rows = write(
        sample_of("a.jpg", *box, source_id="42"), sample_of("b.jpg", *box), kind="detections", label_map=classes
    )
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(42, 18), (1, 18)]
    assert write(sample_of("a.jpg"), kind="detections", label_map=classes) == []
    with pytest.raises(UsageError, match=r"need class ids\n.*truth=FILE"):
        write(kind="detections")
    with pytest.raises(UsageError, match=r"truth= is only for detections\n.*kind=detections"):
        write(truth="x.json")


@pytest.mark.parametrize("attributes", [{}, {"score": "high"}, {"score": True}, {"score": float("nan")}])
def test_detections_need_scores(attributes: Mapping[str, Any]) -> None:
    boxes = (["fig", "fig"], [(1, 2, 3, 4)] * 2, {"score": 0.5}, attributes)
    with pytest.raises(DataError, match=r"the source: box 2 \(fig\): the score is missing"):
        write(sample_of("a.jpg", *boxes), kind="detections", label_map=LabelMap.from_names(["fig"]))


def test_what_detections_do_not_contain_is_counted(tmp_path: Path) -> None:
    """A result file has image_id, category_id, bbox and score: https://cocodataset.org/#format-results."""
    box = (["fig"], [(1.5, 2, 3, 4)], {"score": 0.5, "iscrowd": 1})
    reader = SampleReader([sample_of("a.jpg", *box, camera="left", source_id="7"), sample_of("b.jpg")])
    reader.info = reader.info.model_copy(update={"attributes": {"info": {"year": 2017}}})
    report = boxwright.convert(Dataset(reader), f"coco:{tmp_path}/out.json?kind=detections")
    assert report.losses.dropped == {"image camera": 1, "images without boxes": 1, "dataset info": 1}
    assert (report.losses.changed, report.losses.bookkeeping) == ({}, {})
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row == {"image_id": 7, "category_id": 1, "bbox": [1.5, 2, 1.5, 2], "score": 0.5, "iscrowd": 1}


def test_ids_that_are_not_kept_are_counted_as_lost(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(SPEC_FILE))
    report = boxwright.convert(f"coco:{tmp_path}/in.json", f"coco:{tmp_path}/out.json?ids=false")
    numbers = {"image source_id": len(SPEC_FILE["images"]), "id": len(SPEC_FILE["annotations"])}
    assert (report.losses.bookkeeping, report.losses.dropped, report.losses.changed) == (numbers, {}, {})
    assert not boxwright.convert(f"coco:{tmp_path}/in.json", f"coco:{tmp_path}/same.json").losses.bookkeeping


def test_detections_are_reproduced(tmp_path: Path, truth: str) -> None:
    rows = [
        {"image_id": 9, "category_id": 18, "bbox": [1.1, 2, 2.5, 2], "score": 0.9},
        {"image_id": 42, "category_id": 90, "bbox": [1, 2, 2, 2], "score": 0.25, "segmentation": [[1, 2, 3, 4, 5, 6]]},
    ]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    for more in (f"&truth={truth}", ""):
        target = f"coco:{tmp_path}/out.json?kind=detections{more}"
        boxwright.convert(f"coco:{tmp_path}/found.json?truth={truth}", target, overwrite=True)
        assert sorted(json.loads((tmp_path / "out.json").read_text()), key=lambda row: row["image_id"]) == rows


def test_several_processes_write_what_one_does(tmp_path: Path) -> None:
    from boxwright.datasets import WORTH_IT

    samples = [
        sample_of(f"{i:05d}.jpg", [f"c{i % 7}"] * (i % 4), [(i % 30, 2.5, 30, 4)] * (i % 4), source_id=str(3 * i))
        for i in range(WORTH_IT + 10)
    ]
    boxwright.convert(Dataset(SampleReader(samples)), f"coco:{tmp_path}/in.json")
    for workers in (1, 2):
        boxwright.convert(f"coco:{tmp_path}/in.json", f"coco:{tmp_path}/{workers}.json", workers=workers)
    assert (
        (tmp_path / "2.json").read_bytes() == (tmp_path / "1.json").read_bytes() == (tmp_path / "in.json").read_bytes()
    )
    content = json.loads((tmp_path / "in.json").read_text())
    content["annotations"] += [dict(content["annotations"][0], id=10**6, image_id=1)]
    content["images"][5]["file_name"] = content["images"][4]["file_name"]
    (tmp_path / "bad.json").write_text(json.dumps(content))
    reports = [
        boxwright.convert(
            f"coco:{tmp_path}/bad.json", f"coco:{tmp_path}/{w}.json", workers=w, on_error="skip", overwrite=True
        )
        for w in (1, 2)
    ]
    assert [error.place for error in reports[0].skipped] == [
        "images[5] (id 15)",
        f"annotations[{len(content['annotations']) - 1}] (id 1000000)",
    ]
    assert [str(error) for error in reports[1].skipped] == [str(error) for error in reports[0].skipped]
    assert (tmp_path / "2.json").read_bytes() == (tmp_path / "1.json").read_bytes()


def test_a_pack_is_written_like_its_images(tmp_path: Path) -> None:
    """Names that look like placeholders do not change; counting continues after a pack."""
    samples = [
        Sample(
            image=ImageRef(name=f'{number}%d %s %% {{}} "ü".jpg', width=100, height=80),
            boxes=Boxes(
                ["100%d", "b"][: number % 3],
                [(1, 2, 3.5, 4), (0, 0, 9, 9)][: number % 3],
                [{"note": "%s%%", "id": 9 - number}, {}][: number % 3],
            ),
            attributes={"50%": "%d", "source_id": "x" if number < 3 else str(10 * number)},
        )
        for number in range(7)
    ]
    contents = []
    for packed in (False, True):
        with AtomicOutput(str(tmp_path / f"{packed}.json")) as output:
            writer = CocoWriter(output)
            prepared = [writer.prepare(sample) for sample in samples]
            for part in (prepared[:3], [], prepared[3:6]):
                pack = writer.pack(part) if packed else None
                if pack is not None:
                    writer.put_pack(pack)
                else:
                    assert not packed
                    for each in part:
                        writer.put(each)
            writer.put(prepared[6])
            writer.close()
        contents.append((tmp_path / f"{packed}.json").read_text("utf-8"))
    assert contents[0] == contents[1]
    found = json.loads(contents[1])
    assert [image["file_name"] for image in found["images"]] == [sample.image.name for sample in samples]
    assert [image["id"] for image in found["images"]] == [1, 2, 3, 30, 40, 50, 60]
    assert [(row["id"], row["image_id"]) for row in found["annotations"]] == [
        *((8, 2), (7, 3), (1, 3), (5, 40), (4, 50), (2, 50)),
    ]
