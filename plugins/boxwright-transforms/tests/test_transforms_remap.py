"""The step ``remap``: maps in the step and in files, mistyped classes, two maps in sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import boxwright
from boxwright import Boxes, DataError, ImageRef, Sample, UsageError
from boxwright.datasets import make_transform
from boxwright_transforms.remap import Remap


def sample_of(*labels: str, name: str = "a.jpg") -> Sample:
    edges = [(float(n), 0.0, n + 5.0, 9.0) for n in range(len(labels))]
    attributes = [{"difficult": n} if n else {} for n in range(len(labels))]
    return Sample(image=ImageRef(name=name, width=100, height=50), boxes=Boxes(labels, edges, attributes))


def labels_after(step: Remap, *labels: str) -> list[str]:
    (result,) = step([sample_of(*labels)])
    return list(result.boxes.labels)


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("remap:apple=fruit,pear=fruit,leaf=", ["fruit", "fruit", "fig"]),
        ("remap:apple=pear,pear=apple", ["pear", "apple", "leaf", "fig"]),
        ("remap:apple=red apple", ["red apple", "pear", "leaf", "fig"]),
        ("remap:apple=apple,fig=fruit,others=drop", ["apple", "fruit"]),
        ("remap:leaf=,into=fruit", ["fruit", "fruit", "fruit"]),
        ("remap:into=object", ["object"] * 4),
        ("remap:others=keep,apple=a=b", ["a=b", "pear", "leaf", "fig"]),
    ],
)
def test_maps(step: str, after: list[str]) -> None:
    sample = sample_of("apple", "pear", "leaf", "fig")
    (result,) = make_transform(step)([sample])
    assert list(result.boxes.labels) == after
    if len(after) == 4:
        assert result.boxes.coordinates == sample.boxes.coordinates
        assert [*result.boxes.attributes] == [*sample.boxes.attributes]


def test_coordinates_and_attributes_are_dropped_with_their_box() -> None:
    (result,) = Remap({"pear": ""})([sample_of("apple", "pear", "fig")])
    assert result.boxes.coordinates == ((0.0, 0.0, 5.0, 9.0), (2.0, 0.0, 7.0, 9.0))
    assert [dict(row) for row in result.boxes.attributes] == [{}, {"difficult": 2}]


def test_notes_report_every_change_and_classes_that_do_not_occur() -> None:
    step = Remap({"apple": "fruit", "leaf": "", "per": "fruit", "fig": "fig"})
    assert step.notes() == []
    samples = [sample_of("apple", "pear", "apple"), sample_of("leaf", name="b.jpg"), sample_of(name="c.jpg")]
    for _ in range(2):
        assert len(list(step(samples))) == 3
        assert step.notes() == [
            "apple -> fruit: 2 boxes",
            "leaf dropped: 1 box",
            "1 image kept without boxes",
            "no box has the class 'per' of the map; did you mean 'pear'?",
            "no box has the class 'fig' of the map; there are apple, leaf, pear",
        ]


def test_unchanged_samples_are_the_same_objects() -> None:
    step = Remap({"apple": "apple"})
    sample = sample_of("apple", "pear")
    (result,) = step([sample])
    assert result is sample
    assert step.notes() == ["no class changed"]


CSV = (
    ("apple,fruit\nleaf,\n", {"apple": "fruit", "leaf": ""}),
    ("from,to\napple,fruit\n", {"apple": "fruit"}),
    ("Old, New\r\napple, fruit\r\n\r\n", {"apple": "fruit"}),
    ("\ufeffapple,fruit\n", {"apple": "fruit"}),
    (
        '"red, ripe",fruit\n"the ""big"" one",big\nвишня,cherry\n',
        {"red, ripe": "fruit", 'the "big" one': "big", "вишня": "cherry"},
    ),
    ("apple,fruit\napple,fruit\n", {"apple": "fruit"}),
)


@pytest.mark.parametrize(("text", "expected"), CSV)
def test_maps_in_csv(tmp_path: Path, text: str, expected: Mapping[str, str]) -> None:
    (tmp_path / "map.csv").write_text(text, "utf-8")
    assert Remap(file=str(tmp_path / "map.csv")).map == expected


def test_maps_in_json(tmp_path: Path) -> None:
    (tmp_path / "map.JSON").write_text('{"red, ripe": "fruit", "leaf": null, "stem": ""}', "utf-8")
    assert Remap({"pear": "fruit"}, file=str(tmp_path / "map.JSON")).map == {
        "pear": "fruit",
        "red, ripe": "fruit",
        "leaf": "",
        "stem": "",
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("map.csv", b"", r"map\.csv: the file contains no classes"),
        ("map.csv", b"from,to\n", "no classes"),
        ("map.csv", b"apple\n", r"line 1: expected 2 columns, found 1"),
        ("map.csv", b"a,b\n\napple,red,fruit\n", r"line 3: expected 2 columns, found 3"),
        ("map.csv", b"a,b\na,c\n", r"line 2: duplicate class 'a' with another new class"),
        ("map.csv", b",fruit\n", r"line 1: the old class is empty"),
        ("map.csv", b'"a,b\n', r"line 1: invalid CSV"),
        ("map.csv", "вишня,b\n".encode("utf-16"), "not UTF-8"),
        ("map.csv", b"a\0,b\n,x", "line"),
        ("map.csv", b"x" * (1 << 20) + b",y\n", "larger than 1 MiB"),
        ("map.json", b"", "invalid JSON"),
        ("map.json", b"[1]", "not contain a JSON object"),
        ("map.json", b'"apple"', "not contain a JSON object"),
        ("map.json", b"{}", "no classes"),
        ("map.json", b'{"a": 1}', r"'a': the new class is 1, not a name"),
        ("map.json", b'{"a": {"b": "c"}}', "not a name"),
        ("map.json", b'{"a": "b", "a": "c"}', "duplicate class 'a'"),
        ("map.json", b'{"": "c"}', "old class is empty"),
        ("map.json", b"[" * 100_000, "invalid JSON"),
    ],
)
def test_files_that_are_not_class_maps(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        Remap(file=str(tmp_path / name))
    assert caught.value.remedy


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        make_transform(f"remap:file={tmp_path}/map.csv")
    with pytest.raises(DataError):
        Remap(file=str(tmp_path))


def test_a_class_in_the_file_and_in_the_step(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("apple,fruit\n")
    with pytest.raises(UsageError, match=r"is in .*map\.csv and in the step"):
        Remap({"apple": "red"}, file=str(tmp_path / "map.csv"))
    assert Remap({"apple": "fruit"}, file=str(tmp_path / "map.csv")).map == {"apple": "fruit"}


def test_the_label_map_contains_the_new_classes(tmp_path: Path) -> None:
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    (tmp_path / "in.csv").write_text(
        head + "a.jpg,40,30,key,1,2,9,9\na.jpg,40,30,leaf,1,2,9,9\nb.jpg,40,30,mug,1,2,9,9\n"
    )
    target = f"csv:{tmp_path}/out/out.csv"
    boxwright.convert(f"csv:{tmp_path}/in.csv", target, steps=["remap:key=b,leaf=a,mug="])
    assert boxwright.open(target).label_map.names == ("a", "b")
    items = (tmp_path / "out" / "label_map.pbtxt").read_text()
    assert [line.strip() for line in items.splitlines() if ":" in line] == ["id: 1", "name: 'a'", "id: 2", "name: 'b'"]


CLASS = st.sampled_from("abcde")
MAP = st.dictionaries(CLASS, st.sampled_from(["a", "b", "c", "d", "e", "f", ""]), min_size=1)


@given(st.lists(CLASS, max_size=8), MAP, MAP)
def test_two_maps_in_sequence_are_their_composition(
    labels: Sequence[str], one: dict[str, str], two: dict[str, str]
) -> None:
    after_both = list(Remap(two)(Remap(one)([sample_of(*labels)])))
    composed = {label: two.get(new, new) for label in "abcdef" for new in [one.get(label, label)]}
    assert after_both == list(Remap(composed)([sample_of(*labels)]))
