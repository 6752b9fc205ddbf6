"""Every format that is read and written: through every other one and back, and at remote locations."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

import boxwright
from boxwright import Boxes, DataError, Dataset, DatasetURI, ImageRef, Sample
from boxwright.datasets import SampleReader
from boxwright.plugins import default_registry
from boxwright_testing import draw_image


@dataclass(frozen=True)
class Case:
    """How a format is written and read in these tests.

    Args:
        file: The name of the output.
        read: Options to read it, by the folder of the images.
        write: Options to write it.
        whole: Whether coordinates must be whole numbers to be restored without a sidecar.
        tolerance: The largest error of a coordinate in pixels without a sidecar.
    """

    file: str
    read: Callable[[str], Mapping[str, str]] = field(default=lambda images: {})
    write: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.0


def next_to_it(images: str) -> Mapping[str, str]:
    return {"images": images}


CASES = {
    "coco": Case("dataset.json", next_to_it, tolerance=1e-9),
    "cvat": Case("annotations.xml", next_to_it),
    "createml": Case("dataset", tolerance=1e-9),
    "csv": Case("dataset.csv", next_to_it),
    "labelimg": Case("dataset"),
    "datumaro": Case("dataset", tolerance=1e-9),
    "dota": Case("dataset"),
    "label-studio": Case("tasks.json", next_to_it, tolerance=1e-9),
    "labelme": Case("dataset"),
    "openimages": Case("dataset.csv", next_to_it, tolerance=1e-4),
    "retinanet": Case("dataset.csv", next_to_it),
    "tfrecord": Case("dataset.record", tolerance=1e-3),
    "via": Case("dataset.csv", next_to_it),
    "via-json": Case("dataset.json", next_to_it),
    "voc": Case("dataset"),
    "yolo": Case("dataset", tolerance=1e-6),
}

BOTH_WAYS = [name for name in CASES if name in default_registry().names("format")]

RICH = "datumaro"
"""The format that most others lose something of."""

FOLLOWING = dict(zip(BOTH_WAYS, (*BOTH_WAYS[1:], *BOTH_WAYS[:1]), strict=True))

PAIRS = [
    pytest.param(first, second, marks=() if second in (RICH, FOLLOWING[first]) else pytest.mark.slow)
    for first in BOTH_WAYS
    for second in BOTH_WAYS
]
"""Any two formats: each with the next and with a rich one always, the others in the slow tests."""

SIZES = {"a.jpg": (64, 48), "b two.png": (40, 40), "c.jpg": (33, 21), "ü.jpg": (50, 70)}
LABELS = ("fig", "date palm", "вишня")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 cannot represent (section 2.2)."""


def test_every_format_of_this_repository_is_here() -> None:
    others = {
        entry.spec.name for entry in default_registry().all("format") if entry.distribution == "boxwright-panlabel"
    }
    others.add("pictures")  # which has no boxes
    both = {entry.spec.name for entry in default_registry().all("format") if entry.spec.load and entry.spec.write}
    assert both - others == set(CASES)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, size in SIZES.items():
        draw_image(*size, [(3, 4, 20, 15)]).save(folder / name)
    return folder


def boxes_in(width: int, height: int, numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    """Draws boxes inside an image, at least a pixel wide, with attributes that only some formats support."""

    def coordinates(corner: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        x, y, w, h = corner
        xmin, ymin = x * (width - 1), y * (height - 1)
        return (xmin, ymin, xmin + 1 + w * (width - 1 - xmin), ymin + 1 + h * (height - 1 - ymin))

    attributes = st.fixed_dictionaries(
        {},
        optional={
            "difficult": st.just(1),
            "truncated": st.just(1),
            "iscrowd": st.just(1),
            "pose": st.sampled_from(["Left", "Rear"]),
            "score": st.floats(0, 1),
            "note": st.one_of(st.text(max_size=3), st.integers(), st.lists(st.integers(), max_size=2), st.none()),
        },
    )
    return st.lists(
        st.tuples(st.sampled_from(LABELS), st.tuples(numbers, numbers, numbers, numbers).map(coordinates), attributes),
        max_size=3,
    )


@st.composite
def datasets(draw: st.DrawFn) -> list[tuple[str, Any, str | None, dict[str, Any]]]:
    """Draws ``(name, boxes, split, attributes)`` of some images, at least one of them with a box."""
    names = draw(st.lists(st.sampled_from(sorted(SIZES)), min_size=1, unique=True))
    found = []
    for name in names:
        split = draw(st.sampled_from([None, "train", "val"]))
        attributes = draw(st.dictionaries(st.sampled_from(["camera", "database", "note"]), st.text("ab", max_size=2)))
        found.append((name, draw(boxes_in(*SIZES[name], st.floats(0, 1))), split, attributes))
    if not any(boxes for _, boxes, _, _ in found):
        found[0] = (found[0][0], [("fig", (1.0, 2.0, 9.5, 9.25), {})], *found[0][2:])
    return found


Content = list[tuple[str, Any, str | None, dict[str, Any]]]
"""Name of the image, its boxes, split, and attributes."""


def samples_of(content: Content, images: Path) -> list[Sample]:
    return [
        Sample(
            image=ImageRef(name=name, width=SIZES[name][0], height=SIZES[name][1], location=str(images / name)),
            boxes=Boxes([b[0] for b in boxes], [b[1] for b in boxes], [b[2] for b in boxes]),
            split=split,
            attributes=attributes,
        )
        for name, boxes, split, attributes in content
    ]


def facts(samples: Any) -> list[tuple[Any, ...]]:
    """Returns the contents of a dataset, without locations and in no particular order."""
    return sorted(
        (
            (
                sample.image.name,
                sample.image.width,
                sample.image.height,
                sample.split,
                sorted(sample.attributes.items()),
            ),
            [
                (label, coordinates, sorted(dict(attributes).items(), key=lambda item: item[0]))
                for label, coordinates, attributes in zip(
                    sample.boxes.labels, sample.boxes.coordinates, sample.boxes.attributes, strict=True
                )
            ],
            sample.image.read() if sample.boxes else None,
        )
        for sample in samples
    )


def target(name: str, folder: Path | str) -> DatasetURI:
    return DatasetURI(f"{folder}/{CASES[name].file}", name, dict(CASES[name].write))


def source(name: str, folder: Path | str, images: Path | str) -> DatasetURI:
    return DatasetURI(f"{folder}/{CASES[name].file}", name, dict(CASES[name].read(str(images))))


@pytest.mark.parametrize(("first", "second"), PAIRS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=2, deadline=None, database=None)
@given(content=datasets())
def test_there_and_back_with_a_sidecar_is_the_same_dataset(
    first: str,
    second: str,
    content: list[tuple[str, Any, str | None, dict[str, Any]]],
    images: Path,
    tmp_path: Path,
) -> None:
    """From A to B and back to A, for any two formats."""
    if "cvat" in (first, second):  # XML with every attribute, and XML has no control characters
        assume(not any(CONTROL.search(str(box[2].get("note"))) for _, boxes, _, _ in content for box in boxes))
    samples = samples_of(content, images)
    asked = facts(samples)
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    one, two, three = folder / "one", folder / "two", folder / "three"
    options: dict[str, Any] = {"sidecar": True}
    boxwright.convert(Dataset(SampleReader(samples)), target(first, one), **options)
    assert facts(boxwright.open(source(first, one, images))) == asked
    boxwright.convert(source(first, one, images), target(second, two), **options)
    assert facts(boxwright.open(source(second, two, images))) == asked
    boxwright.convert(source(second, two, images), target(first, three), **options)
    assert facts(boxwright.open(source(first, three, images))) == asked


PLAIN: Content = [
    ("a.jpg", [("fig", (3.0, 4.0, 20.0, 15.0), {}), ("date palm", (30.0, 8.0, 60.0, 40.0), {})], None, {}),
    ("b two.png", [("fig", (1.0, 1.0, 40.0, 39.0), {})], None, {}),
    ("ü.jpg", [("вишня", (5.0, 5.0, 45.0, 66.0), {}), ("fig", (5.0, 5.0, 45.0, 66.0), {})], None, {}),
]
"""Contents that every format supports."""


def plain(images: Path) -> list[Sample]:
    return samples_of(PLAIN, images)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_every_format_returns_the_same_boxes(name: str, images: Path, tmp_path: Path) -> None:
    """One dataset through every writer and reader, without a sidecar."""
    boxwright.convert(Dataset(SampleReader(plain(images))), target(name, tmp_path))
    assert_same_boxes(boxwright.open(source(name, tmp_path, images)), plain(images), CASES[name].tolerance)


def assert_same_boxes(found: Any, asked: list[Sample], tolerance: float) -> None:
    by_name = {sample.image.name: sample for sample in found}
    assert sorted(by_name) == sorted(sample.image.name for sample in asked)
    for sample in asked:
        other = by_name[sample.image.name]
        assert (other.image.width, other.image.height) == (sample.image.width, sample.image.height)
        assert other.boxes.labels == sample.boxes.labels
        for one, two in zip(sample.boxes.coordinates, other.boxes.coordinates, strict=True):
            assert two == pytest.approx(one, abs=max(tolerance, 1e-12))


WITHOUT_SIZES = [
    *(
        "automl-vision",
        "createml",
        "ibm-cloud-annotations",
        "dota",
        "kitti",
        "label-studio",
        "oidv4",
        "openimages",
        "retinanet",
    ),
    *("tfod", "tfrecord", "via", "via-json", "vott-json", "wider-face", "yolo", "yolo-keras", "yolov4-pytorch"),
]
"""Formats with relative coordinates, or without the size of the image."""


@pytest.mark.parametrize("name", sorted({*WITHOUT_SIZES, *BOTH_WAYS} & {*default_registry().names("format")}))
def test_a_wrong_size_is_stored_unchanged_or_refused(name: str, images: Path, tmp_path: Path) -> None:
    """``<size>`` is half of the image's, as in https://github.com/HumanSignal/labelImg/issues/445."""
    location = str(images / "a.jpg")
    image = ImageRef(name="a.jpg", width=32, height=24, location=location)
    stale = [Sample(image=image, boxes=Boxes(["face"], [(4, 4, 20, 20)]), source="a.xml")]
    file = CASES[name].file if name in CASES else "dataset"
    dataset, uri = Dataset(SampleReader(stale)), DatasetURI(f"{tmp_path}/{file}", name)
    if name in WITHOUT_SIZES:
        with pytest.raises(
            DataError, match=r"a\.xml.* size is 32x24, but the image a\.jpg is 64x48.*\n.*fix:size=picture"
        ):
            boxwright.convert(dataset, uri)
        assert not list(tmp_path.iterdir())
    else:
        boxwright.convert(dataset, uri)
        assert_same_boxes(boxwright.open(source(name, tmp_path, images)), stale, CASES[name].tolerance)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_every_format_recognises_its_own_output(name: str, images: Path, tmp_path: Path) -> None:
    """Without a format in the URI exactly one matches, and its reader returns the same."""
    boxwright.convert(Dataset(SampleReader(plain(images))), target(name, tmp_path))
    place = DatasetURI(f"{tmp_path}/{CASES[name].file}", None, dict(CASES[name].read(str(images))))
    dataset = boxwright.open(place)
    assert {sample.image.name for sample in dataset} == {sample.image.name for sample in plain(images)}


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """A folder that is not on the local disk."""
    base = "memory://photos" if request.param == "memory" else request.getfixturevalue("s3")
    files, root = fsspec.url_to_fs(f"{base}/new")
    yield f"{base}/new"
    files.invalidate_cache()
    if files.exists(root):
        files.rm(root, recursive=True)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_every_format_is_the_same_at_remote_locations(name: str, place: str, images: Path) -> None:
    boxwright.convert(Dataset(SampleReader(plain(images))), target(name, place))
    assert_same_boxes(boxwright.open(source(name, place, images)), plain(images), CASES[name].tolerance)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_every_format_is_read_from_a_zip(name: str, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    boxwright.convert(Dataset(SampleReader(plain(images))), target(name, folder))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    uri = DatasetURI(f"zip://{CASES[name].file}::{tmp_path}/all.zip", name, dict(CASES[name].read(str(images))))
    assert_same_boxes(boxwright.open(uri), plain(images), CASES[name].tolerance)


def test_remote_images_are_found(place: str, images: Path, tmp_path: Path) -> None:
    """The annotations are local, the images remote."""
    files, root = fsspec.url_to_fs(place)
    for path in images.iterdir():
        files.pipe_file(f"{root}/{path.name}", path.read_bytes())
    boxwright.convert(Dataset(SampleReader(plain(images))), f"csv:{tmp_path}/labels.csv")
    for sample in boxwright.open(f"csv:{tmp_path}/labels.csv?images={place}"):
        assert sample.image.read() == (images / sample.image.name).read_bytes()


def test_a_remote_sidecar_is_found(place: str, images: Path) -> None:
    content: Content = [("a.jpg", [("fig", (3.25, 4.0, 20.0, 15.0), {"note": "x"})], "train", {})]
    samples = samples_of(content, images)
    boxwright.convert(Dataset(SampleReader(samples)), f"csv:{place}/x.csv", sidecar=True)
    (back,) = boxwright.open(f"csv:{place}/x.csv?images={images}")
    assert (back.split, dict(back.boxes.attributes[0])) == ("train", {"note": "x"})
