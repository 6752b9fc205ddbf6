"""From images to detections: the drawings, the files and their names."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import (
    DataError,
    Dataset,
    Detections,
    FormatSpec,
    ImageRef,
    LabelMap,
    OutputError,
    Prediction,
    Run,
    RunError,
    Sample,
    UsageError,
)
from boxwright.datasets.problems import Problems
from boxwright.models.prediction import gather
from boxwright.plugins.registry import Registry
from boxwright.progress import LogReporter


class Finder:
    """Finds a fig and, with a lower score, a date in every image, at fixed parts of it."""

    label_map = LabelMap.from_names(["date", "fig"])

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        samples = list(samples)
        self.batches.append(len(samples))
        for sample in samples:
            size = np.array([sample.image.width, sample.image.height] * 2)
            coordinates = np.array([[0.5, 0.5, 0.75, 0.75], [0.1, 0.2, 0.4, 0.6]]) * size
            yield Detections.from_arrays(sample.image, ["date", "fig"], coordinates, [0.25, 0.875])


class Recorded(LogReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def predict(plugins: Registry) -> Callable[..., Prediction]:
    def run(inputs: Any, model: Any = None, **options: Any) -> Prediction:
        return boxwright.predict(model or Finder(), inputs, registry=plugins, **options)

    return run


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_detections_without_writing_anything(predict: Callable[..., Prediction], images: Path) -> None:
    found = predict(images, score=0.0)
    assert [(d.image.name, d.image.width, d.image.height) for d in found.detections] == [
        ("a.jpg", 100, 80),
        ("b.png", 100, 80),
        ("sub/c.jpg", 100, 80),
    ]
    assert found.detections[0].boxes.labels == ("fig", "date")
    assert found.detections[0].boxes.coordinates[0] == pytest.approx((10, 16, 40, 48))
    assert (found.drawings, found.files, found.skipped) == ([], [], [])
    assert predict(images).detections[0].boxes.labels == ("fig",)  # 0.3 is the default
    assert predict(images, score=0.9).detections[0].boxes.labels == ()
    one = predict(str(images / "sub" / "c.jpg"))
    assert [d.image.name for d in one.detections] == ["c.jpg"]
    assert [d.image.name for d in predict([images / "b.png", images / "sub"]).detections] == ["b.png", "c.jpg"]


def test_the_model_predicts_in_batches(predict: Callable[..., Prediction], images: Path) -> None:
    model = Finder()
    predict(images, model, batch_size=2)
    assert model.batches == [2, 1]


def test_what_is_written(predict: Callable[..., Prediction], images: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    found = predict(images, out=out, score=0.2)
    assert names_in(out) == ["a.jpg", "b.jpg", "detections.json", "sub/c.jpg"]
    assert found.drawings == [out / "a.jpg", out / "b.jpg", out / "sub/c.jpg"]
    assert found.files == [out / "detections.json"]
    written = json.loads((out / "detections.json").read_text("utf-8"))
    assert written["score"] == 0.2
    assert written["pictures"] == found.to_dict()["pictures"]
    assert written["pictures"][0] == {
        "picture": str(images / "a.jpg"),
        "width": 100,
        "height": 80,
        "detections": [
            {"label": "fig", "score": 0.875, "box": [10.0, 16.0, 40.0, 48.0]},
            {"label": "date", "score": 0.25, "box": [50.0, 40.0, 75.0, 60.0]},
        ],
    }
    drawn = np.asarray(Image.open(out / "a.jpg").convert("RGB")).astype(int)
    plain = np.array([90, 120, 150])
    scale = drawn.shape[1] / 100
    left = drawn[int(32 * scale), int(10 * scale) - 4 : int(10 * scale) + 5]
    assert np.abs(left - plain).max() > 60  # the fig's left edge
    assert np.abs(drawn[int(32 * scale), int(25 * scale)] - plain).max() < 20  # and nothing inside it


def test_an_existing_folder(predict: Callable[..., Prediction], images: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    predict(images, out=out, to="lines")
    before = {name: (out / name).read_bytes() for name in names_in(out)}
    with pytest.raises(OutputError, match="exists already"):
        predict(images / "a.jpg", out=out)
    assert {name: (out / name).read_bytes() for name in names_in(out)} == before
    predict(images / "a.jpg", out=out, to="lines", overwrite=True)
    assert names_in(out) == ["a.jpg", "detections.json", "detections.jsonl"]


def test_detections_as_a_dataset(
    predict: Callable[..., Prediction], plugins: Registry, images: Path, tmp_path: Path
) -> None:
    recorded = Recorded()
    found = predict(images, out=tmp_path / "found", to="lines", reporter=recorded)
    assert found.files == [tmp_path / "found/detections.json", tmp_path / "found/detections.jsonl"]
    assert len(found.drawings) == 3
    samples = list(boxwright.open(f"lines:{tmp_path}/found/detections.jsonl", registry=plugins))
    assert [(s.image.name, s.boxes.labels) for s in samples] == [(n, ("fig",)) for n in ("a.jpg", "b.png", "sub/c.jpg")]
    assert samples[0].boxes.coordinates[0] == pytest.approx((10, 16, 40, 48))
    assert recorded.warnings == ["lines cannot hold everything that was found; left out: score: 3 boxes"]


class _Folder:
    def __init__(self, output: Any, label_map: LabelMap) -> None:
        self.output, self.label_map = output, label_map

    def write(self, sample: Sample) -> None:
        if sample.image.name == "b.png":
            raise DataError(sample.image.name, "no such format", "convert it")
        with self.output.open(f"{sample.image.name}.txt") as file:
            file.write(str([self.label_map.id(label) for label in sample.boxes.labels]).encode())

    def close(self) -> None:
        """Does nothing, because no file is open."""


def test_drawings_are_removed_if_the_dataset_cannot_be_written(
    make_registry: Callable[..., Registry], toys: types.ModuleType, images: Path, tmp_path: Path
) -> None:
    toys.Folder = _Folder  # type: ignore[attr-defined]
    spec = FormatSpec(
        name="txt", write="toys:Folder", target="folder", numbered=True, carries=frozenset({"box.*", "subpixel"})
    )
    plugins = make_registry(spec)
    with pytest.raises(DataError, match=r"b\.png: no such format"):
        boxwright.predict(Finder(), images, out=tmp_path / "found", to="txt", registry=plugins)
    assert not (tmp_path / "found").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]
    found = boxwright.predict(Finder(), images, out=tmp_path / "found", to="txt", on_error="skip", registry=plugins)
    assert [error.file for error in found.skipped] == ["b.png"]
    assert names_in(tmp_path / "found/txt") == ["a.jpg.txt", "sub/c.jpg.txt"]
    assert (tmp_path / "found/txt/a.jpg.txt").read_text() == "[2]"
    assert found.files[1] == tmp_path / "found/txt"


def test_names_that_would_collide(
    predict: Callable[..., Prediction], image_bytes: Callable[..., bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a-2.jpg", "a.JPG", "a.bmp", "a.jpg", "a.png"):
        (folder / name).write_bytes(image_bytes(format={"bmp": "BMP", "png": "PNG"}.get(name[-3:], "JPEG")))
    found = predict(folder, out=tmp_path / "out")
    drawn = [path.name.lower() for path in found.drawings]
    assert len(set(drawn)) == 5
    assert names_in(tmp_path / "out") == sorted([path.name for path in found.drawings] + ["detections.json"])
    sources = [entry["picture"] for entry in found.to_dict()["pictures"]]
    assert sources == [str(folder / name) for name in ("a-2.jpg", "a.JPG", "a.bmp", "a.jpg", "a.png")]


def test_names_of_a_dataset_that_would_collide(
    predict: Callable[..., Prediction],
    dataset: Callable[..., Dataset],
    image_bytes: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    samples = [
        Sample(image=ImageRef(name=name, width=100, height=80, data=image_bytes())) for name in ("a.jpg", "a.png")
    ]
    found = predict(dataset(*samples), out=tmp_path / "out")
    assert [path.name for path in found.drawings] == ["a.jpg", "a-2.jpg"]
    assert [detections.image.name for detections in found.detections] == ["a.jpg", "a.png"]


def test_image_bytes_are_not_kept(
    predict: Callable[..., Prediction],
    dataset: Callable[..., Dataset],
    image_bytes: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    data = dataset(Sample(image=ImageRef(name="a.jpg", width=100, height=80, data=image_bytes())))
    for options in ({}, {"out": tmp_path / "out"}):
        [found] = predict(data, **options).detections
        assert found.image.data is None
        assert found.image.name == "a.jpg"


def test_images_that_cannot_be_read(predict: Callable[..., Prediction], images: Path, tmp_path: Path) -> None:
    whole = (images / "a.jpg").read_bytes()
    (images / "empty.jpg").write_bytes(b"")
    (images / "text.png").write_text("not an image")
    (images / "cut.jpg").write_bytes(whole[:-12])  # its header is complete
    with pytest.raises(DataError, match=r"cut\.jpg: the image is damaged"):
        predict(images, out=tmp_path / "out", batch_size=1)
    assert not (tmp_path / "out").exists()
    found = predict(images, out=tmp_path / "out", on_error="skip")
    assert sorted(Path(error.file).name for error in found.skipped) == ["cut.jpg", "empty.jpg", "text.png"]
    assert [detections.image.name for detections in found.detections] == ["a.jpg", "b.png", "sub/c.jpg"]
    assert names_in(tmp_path / "out") == ["a.jpg", "b.jpg", "detections.json", "sub/c.jpg"]
    assert len(found.to_dict()["skipped"]) == 3


@pytest.mark.parametrize("out", [None, "out"])
def test_nothing_to_predict_on(
    predict: Callable[..., Prediction], images: Path, tmp_path: Path, out: str | None
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    options = {} if out is None else {"out": tmp_path / out}
    with pytest.raises(DataError, match="it contains no readable image"):
        predict(tmp_path / "empty", **options)
    assert out is None or not (tmp_path / out).exists()


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([], UsageError, "nothing to predict on"),
        ("none.jpg", DataError, r"none\.jpg: image or folder not found"),
        (["none.jpg", "lines:x.jsonl"], DataError, "image or folder not found"),
        (["lines:x.jsonl", "lines:y.jsonl"], UsageError, "one dataset URI, or images and folders, not both"),
        ("lines:none.jsonl", DataError, "file not found"),
    ],
)
def test_inputs_that_are_refused(
    predict: Callable[..., Prediction], inputs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        predict(inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": 1.5}, "the score is 1.5"),
        ({"score": float("nan")}, "the score is nan"),
        ({"to": "lines"}, "writing lines needs a place"),
        ({"out": "memory://found"}, "is not a local folder"),
        ({"out": "found", "to": "liens"}, "no format named 'liens'"),
    ],
)
def test_options_that_are_refused(
    predict: Callable[..., Prediction],
    images: Path,
    options: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(images)
    with pytest.raises(boxwright.BoxwrightError, match=message) as caught:
        predict(images / "a.jpg", **options)
    assert caught.value.exit_code == 2
    assert not (images / "found").exists()


def test_a_rotated_photo_is_drawn_upright_with_its_boxes(
    predict: Callable[..., Prediction], dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    """Stored 100x80, shown 80x100; boxes found in the stored frame are drawn around the same pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "phone.jpg"
    Image.new("RGB", (100, 80), (90, 120, 150)).save(path, exif=exif)
    by_folder = predict(path, out=tmp_path / "one").detections[0]
    assert (by_folder.image.width, by_folder.image.height) == (80, 100)
    stored = Sample(image=ImageRef(name="phone.jpg", width=100, height=80, location=str(path)))
    found = predict(dataset(stored), out=tmp_path / "two").detections[0]
    assert found.boxes.coordinates[0] == pytest.approx((10, 16, 40, 48))
    drawn = np.asarray(Image.open(tmp_path / "two/phone.jpg").convert("RGB")).astype(int)
    assert drawn.shape[0] > drawn.shape[1]
    scale = drawn.shape[0] / 100
    # Turned clockwise by 90 degrees, (x, y) is shown at (80 - y, x): the box at (32, 10, 64, 40), upright.
    marked = np.abs(drawn - [90, 120, 150]).max(axis=2) > 60
    middle = int(25 * scale)
    columns = np.nonzero(marked[middle])[0] / scale
    assert columns.min() == pytest.approx(32, abs=1.5)
    assert columns.max() == pytest.approx(64, abs=1.5)


def test_datasets_and_images_are_distinguished(images: Path, plugins: Registry, ground_truth: str) -> None:
    assert [s.image.name for s in gather(images)] == ["a.jpg", "b.png", "sub/c.jpg"]
    assert [s.image.name for s in gather(ground_truth, registry=plugins)] == ["a.jpg", "b.jpg"]
    data = Dataset(gather(images).reader, problems=Problems("skip"))
    assert gather(data) is data
    (images / ".hidden").mkdir()
    (images / ".hidden/x.jpg").write_bytes(b"x")
    (images / "._a.jpg").write_bytes(b"a file that macOS leaves on other disks")
    assert len(list(gather(images))) == 3


# The model of a run


def test_the_model_of_a_run(plugins: Registry, ground_truth: str, tmp_path: Path, images: Path) -> None:
    run = boxwright.train(ground_truth, out=tmp_path / "run", backend="average", registry=plugins)
    for model in (run, str(run.path), run.path, boxwright.load_model(run.path, registry=plugins)):
        found = boxwright.predict(model, images / "a.jpg", registry=plugins)
        assert found.detections[0].boxes.coordinates[0] == pytest.approx((30, 24, 50, 40))


def test_a_run_without_a_model(plugins: Registry, tmp_path: Path, images: Path) -> None:
    run = Run.create(
        tmp_path / "run", backend="average", config={}, label_map=LabelMap.from_names("ab"), inputs={"data": {}}
    )
    with pytest.raises(RunError, match=r"has no model: it is created, and .*average\.json is not there") as caught:
        boxwright.predict(run, images, registry=plugins)
    assert "--resume" in caught.value.remedy
    with pytest.raises(RunError, match="does not exist"):
        boxwright.predict(tmp_path / "none", images, registry=plugins)
