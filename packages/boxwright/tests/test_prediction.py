"""Prediction with models whose detections are known: the results, and the contents of the folder."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boxwright import (
    BoxwrightError,
    DataError,
    Dataset,
    Detections,
    ImageRef,
    LabelMap,
    OutputError,
    PluginNotFoundError,
    RunError,
    Sample,
    UsageError,
    predict,
    train,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.images import decode
from boxwright.models.inference import load_model
from boxwright.models.prediction import Prediction, gather
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry

CLASSES = LabelMap.from_names(["date", "fig"])


class TwoEverywhere:
    """Returns a fig with 0.9 and a date with 0.4 for every image, without decoding it."""

    label_map = CLASSES

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        batch = list(samples)
        self.batches.append(len(batch))
        for sample in batch:
            coordinates = np.array([[10, 20, 30, 40.126], [1, 2, 3, 4]])
            yield Detections.from_arrays(sample.image, ["fig", "date"], coordinates, [0.9, 0.4])


class FindsTheMark:
    """Finds the white mark in a black image by its pixels, and returns its box in the sample's frame."""

    label_map = CLASSES

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            decoded = decode.decode_sample(sample)
            coordinates = decoded.to_annotation(np.array([mark_of(decoded.image)]))
            yield Detections.from_arrays(sample.image, ["fig"], coordinates, [1.0])


def mark_of(image: Image.Image) -> tuple[float, ...]:
    rows, columns = np.nonzero(np.asarray(image.convert("L")) > 127)
    return (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def turned_image(orientation: int) -> bytes:
    """Encodes a black image, stored 96x64, with a white mark at (16, 8, 40, 56) of the stored pixels."""
    image = Image.new("RGB", (96, 64))
    image.paste((255, 255, 255), (16, 8, 40, 56))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def truncated() -> bytes:
    """Returns a JPEG whose header is complete and whose pixels are truncated."""
    pixels = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def names(prediction: Prediction) -> list[str]:
    return [found.image.name for found in prediction.detections]


def everything_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestInputs:
    def test_a_folder_with_everything_in_it(self, images: Path, plugins: Registry) -> None:
        (images / ".cache").mkdir()
        for name in (".cache/x.jpg", ".hidden.jpg", "notes.txt"):
            (images / name).write_bytes(b"not an image")
        found = predict(TwoEverywhere(), images, registry=plugins)
        assert names(found) == ["a.jpg", "b.png", "sub/c.jpg"]
        assert found.detections[2].image.location == os.path.join(str(images), "sub", "c.jpg")
        assert (found.drawings, found.files, found.skipped) == ([], [], [])

    def test_image_suffixes_in_capitals(self, tmp_path: Path, image_bytes: Callable[..., bytes]) -> None:
        (tmp_path / "DSC_1.JPG").write_bytes(image_bytes())
        assert names(predict(TwoEverywhere(), tmp_path)) == ["DSC_1.JPG"]

    def test_single_images_keep_their_order(self, images: Path, plugins: Registry) -> None:
        given: list[str | Path] = [images / "sub" / "c.jpg", str(images / "a.jpg")]
        assert names(predict(TwoEverywhere(), given, registry=plugins)) == ["c.jpg", "a.jpg"]
        assert names(predict(TwoEverywhere(), images / "b.png", registry=plugins)) == ["b.png"]

    def test_a_named_image_needs_no_suffix(self, tmp_path: Path, image_bytes: Callable[..., bytes]) -> None:
        (tmp_path / "photo").write_bytes(image_bytes())
        assert names(predict(TwoEverywhere(), tmp_path / "photo")) == ["photo"]

    def test_images_and_folders_together(self, images: Path, plugins: Registry) -> None:
        found = predict(TwoEverywhere(), [images / "b.png", images / "sub"], registry=plugins)
        assert names(found) == ["b.png", "c.jpg"]

    def test_one_uri(self, ground_truth: str, plugins: Registry) -> None:
        for inputs in (ground_truth, [ground_truth]):
            assert names(predict(TwoEverywhere(), inputs, registry=plugins)) == ["a.jpg", "b.jpg"]

    def test_boxes_of_the_dataset_are_not_returned(
        self, dataset: Callable[..., Dataset], sample: Callable[..., Sample]
    ) -> None:
        (found,) = predict(TwoEverywhere(), dataset(sample("m.jpg", ("fig", 5, 5, 6, 6)))).detections
        assert found.image.name == "m.jpg"
        assert found.boxes.coordinates == ((10, 20, 30, 40.126), (1, 2, 3, 4))

    def test_an_image_whose_name_looks_like_a_uri(self, tmp_path: Path, image_bytes: Callable[..., bytes]) -> None:
        path = tmp_path / "lines:a.jpg"
        path.write_bytes(image_bytes())
        assert names(predict(TwoEverywhere(), path)) == ["lines:a.jpg"]

    def test_upright_sizes(self, tmp_path: Path) -> None:
        (tmp_path / "turned.png").write_bytes(turned_image(6))
        (found,) = predict(FindsTheMark(), tmp_path).detections
        assert (found.image.width, found.image.height) == (64, 96)

    def test_mixtures_are_refused(self, images: Path, ground_truth: str, plugins: Registry) -> None:
        mixtures: list[list[str | Path]] = [[images / "a.jpg", ground_truth], [ground_truth, ground_truth]]
        for mixture in mixtures:
            with pytest.raises(UsageError, match="one dataset URI, or images and folders, not both") as caught:
                gather(mixture, registry=plugins)
            assert ground_truth in caught.value.message

    def test_nothing_given(self) -> None:
        with pytest.raises(UsageError, match="nothing to predict on"):
            gather([])

    def test_missing_inputs(self, images: Path, plugins: Registry) -> None:
        gone = str(images / "gone.jpg")
        several: list[str | Path] = [images / "a.jpg", gone]
        for inputs in (gone, several):
            with pytest.raises(DataError, match="image or folder not found") as caught:
                predict(TwoEverywhere(), inputs, registry=plugins)
            assert caught.value.file == gone

    def test_a_folder_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        with pytest.raises(DataError, match="it contains no readable image"):
            predict(TwoEverywhere(), tmp_path / "in", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestAnswers:
    def test_the_score_is_a_lower_bound_that_counts(self, images: Path) -> None:
        def labels(score: float) -> list[tuple[str, ...]]:
            return [found.boxes.labels for found in predict(TwoEverywhere(), images, score=score).detections]

        assert labels(0.0) == labels(0.4) == [("fig", "date")] * 3
        assert labels(0.41) == labels(0.9) == [("fig",)] * 3
        assert labels(1.0) == [()] * 3

    @pytest.mark.parametrize(("batch_size", "batches"), [(1, [1, 1, 1]), (2, [2, 1]), (8, [3])])
    def test_batches(self, batch_size: int, batches: list[int], images: Path) -> None:
        model = TwoEverywhere()
        predict(model, images, batch_size=batch_size)
        assert model.batches == batches

    def test_a_run_by_folder_by_object_and_its_model(
        self, ground_truth: str, tmp_path: Path, plugins: Registry
    ) -> None:
        run = train(ground_truth, out=tmp_path / "run", registry=plugins)
        for model in (str(run.path), run.path, run, load_model(run, registry=plugins)):
            found = predict(model, ground_truth, registry=plugins)
            assert found.detections[0].boxes.xyxy[0] == pytest.approx([30, 24, 50, 40])
            assert found.detections[0].scores == (0.5,)

    def test_image_bytes_in_memory_are_not_kept(self, image_bytes: Callable[..., bytes], sample: Any) -> None:
        held = sample("m.jpg", image={"data": image_bytes()})
        (found,) = predict(TwoEverywhere(), Dataset(SampleReader([held]))).detections
        assert found.image.data is None
        assert found.boxes.labels == ("fig", "date")

    def test_plain_values(self, images: Path) -> None:
        plain = predict(TwoEverywhere(), images / "a.jpg", score=0.5).to_dict()
        assert json.loads(json.dumps(plain)) == {
            "pictures": [
                {
                    "picture": str(images / "a.jpg"),
                    "width": 100,
                    "height": 80,
                    "detections": [{"label": "fig", "score": 0.9, "box": [10.0, 20.0, 30.0, 40.13]}],
                }
            ],
            "drawn": [],
            "files": [],
            "skipped": [],
            "dropped": {},
            "changed": {},
            "kept": 0,
            "videos": [],
            "score": 0.5,
        }


class TestOut:
    def test_the_contents_of_the_output(self, images: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        found = predict(TwoEverywhere(), images, out=out, score=0.5)
        assert everything_below(out) == ["a.jpg", "b.jpg", "detections.json", "sub/c.jpg"]
        assert found.drawings == [out / "a.jpg", out / "b.jpg", out / "sub" / "c.jpg"]
        assert found.files == [out / "detections.json"]
        content = json.loads((out / "detections.json").read_text("utf-8"))
        assert content["score"] == 0.5
        assert content["pictures"] == found.to_dict()["pictures"]
        with Image.open(out / "b.jpg") as drawn:
            assert drawn.format == "JPEG"
            assert drawn.width * 80 == drawn.height * 100
        assert sorted(os.listdir(tmp_path)) == ["images", "out"]

    @pytest.mark.parametrize(
        ("files", "drawn"),
        [
            (["a.jpg", "a.png"], ["a-2.jpg", "a.jpg"]),
            (["a-2.jpg", "a.jpg", "a.png"], ["a-2.jpg", "a-3.jpg", "a.jpg"]),
            (["A.jpg", "a.png"], ["A.jpg", "a-2.jpg"]),
            (["a.jpg", "detections.png"], ["a.jpg", "detections.jpg"]),
            (["a.b.jpg", "a.c.jpg"], ["a.b.jpg", "a.c.jpg"]),
        ],
    )
    def test_every_image_has_a_separate_drawing(
        self, files: list[str], drawn: list[str], tmp_path: Path, image_bytes: Callable[..., bytes]
    ) -> None:
        (tmp_path / "in").mkdir()
        for name in files:
            (tmp_path / "in" / name).write_bytes(image_bytes(format="PNG"))
        found = predict(TwoEverywhere(), tmp_path / "in", out=tmp_path / "out")
        assert everything_below(tmp_path / "out") == sorted([*drawn, "detections.json"])
        assert sorted(path.name for path in found.drawings) == sorted(drawn)

    def test_images_of_one_name_in_two_folders(self, tmp_path: Path, image_bytes: Callable[..., bytes]) -> None:
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.jpg").write_bytes(image_bytes())
        found = predict(TwoEverywhere(), [tmp_path / "one", tmp_path / "two"], out=tmp_path / "out")
        assert names(found) == ["a.jpg", "a-2.jpg"]
        assert everything_below(tmp_path / "out") == ["a-2.jpg", "a.jpg", "detections.json"]

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_rotated_image_is_drawn_upright(
        self, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[tuple[tuple[float, ...], Any]] = []

        def draw(image: Image.Image, boxes: Any, *rest: Any, **options: Any) -> Image.Image:
            drawn.append((mark_of(image), boxes.tolist()))
            return image

        monkeypatch.setattr("boxwright.render.boxes.draw_boxes", draw)
        path = tmp_path / "turned.png"
        path.write_bytes(turned_image(orientation))
        stored = Sample(image=ImageRef(name="stored.png", width=96, height=64, location=str(path)))
        upright = (64, 96) if orientation > 4 else (96, 64)
        sources: list[Path | Dataset] = [path, Dataset(SampleReader([stored]))]
        for number, inputs in enumerate(sources):
            found = predict(FindsTheMark(), inputs, out=tmp_path / str(number))
            mark, boxes = drawn[-1]
            assert boxes == [list(mark)]
            with Image.open(found.drawings[0]) as image:
                assert image.size == upright
        assert len(drawn) == 2
        if orientation > 4:  # a dataset with boxes in the stored frame gets its detections in that frame
            assert found.detections[0].boxes.coordinates == ((16, 8, 40, 56),)

    def test_an_older_folder_is_kept(self, images: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("dear")
        with pytest.raises(OutputError, match="out"):
            predict(TwoEverywhere(), images, out=tmp_path / "out")
        assert everything_below(tmp_path / "out") == ["mine.txt"]

    def test_unless_it_may_be_replaced(self, images: Path, tmp_path: Path) -> None:
        predict(TwoEverywhere(), images, out=tmp_path / "out")
        predict(TwoEverywhere(), images / "sub", out=tmp_path / "out", overwrite=True)
        assert everything_below(tmp_path / "out") == ["c.jpg", "detections.json"]

    def test_output_next_to_the_images(self, images: Path) -> None:
        predict(TwoEverywhere(), images, out=images / "found")
        assert everything_below(images / "found") == ["a.jpg", "b.jpg", "detections.json", "sub/c.jpg"]


class TestAsADataset:
    def test_the_file_and_its_contents(self, images: Path, tmp_path: Path, plugins: Registry) -> None:
        out = tmp_path / "out"
        found = predict(TwoEverywhere(), images, out=out, to="lines", score=0.5, registry=plugins)
        assert found.files == [out / "detections.json", out / "detections.jsonl"]
        rows = [json.loads(line) for line in (out / "detections.jsonl").read_text("utf-8").splitlines()]
        box = ["fig", 10.0, 20.0, 30.0, 40.126]
        assert rows == [{"name": n, "size": [100, 80], "boxes": [box]} for n in ("a.jpg", "b.png", "sub/c.jpg")]
        assert len(found.drawings) == len(found.detections) == 3

    def test_losses_are_reported(
        self, images: Path, tmp_path: Path, plugins: Registry, caplog: pytest.LogCaptureFixture
    ) -> None:
        predict(TwoEverywhere(), images, out=tmp_path / "out", to="lines", registry=plugins)
        assert "lines cannot hold everything that was found; left out: score: 6 boxes" in caplog.text

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [({"to": "lines"}, UsageError), ({"to": "nothing", "out": "out"}, PluginNotFoundError)],
    )
    def test_refused(
        self, arguments: dict[str, Any], error: type[BoxwrightError], images: Path, plugins: Registry
    ) -> None:
        if "out" in arguments:
            arguments = arguments | {"out": images.parent / "out"}
        with pytest.raises(error):
            predict(TwoEverywhere(), images, registry=plugins, **arguments)
        assert not (images.parent / "out").exists()


class TestBadImages:
    @pytest.fixture(params=["header", "pixels"])
    def damaged(self, request: pytest.FixtureRequest, images: Path) -> Path:
        """One image that cannot be read, between two with a mark."""
        for name in ("a.jpg", "sub/c.jpg"):
            (images / name).write_bytes(turned_image(1))
        path = images / "b.png"
        path.write_bytes(b"not an image" if request.param == "header" else truncated())
        return path

    @pytest.mark.parametrize("to", [None, "lines"])
    @pytest.mark.parametrize("model", [TwoEverywhere, FindsTheMark])
    def test_fail(
        self, model: Callable[[], Any], to: str | None, damaged: Path, images: Path, tmp_path: Path, plugins: Registry
    ) -> None:
        with pytest.raises(DataError) as caught:
            predict(model(), images, out=tmp_path / "out", to=to, registry=plugins)
        assert caught.value.file == str(damaged)
        assert caught.value.remedy
        assert os.listdir(tmp_path) == ["images"]

    @pytest.mark.parametrize("to", [None, "lines"])
    @pytest.mark.parametrize("model", [TwoEverywhere, FindsTheMark])
    def test_skip(
        self, model: Callable[[], Any], to: str | None, damaged: Path, images: Path, tmp_path: Path, plugins: Registry
    ) -> None:
        out = tmp_path / "out"
        found = predict(model(), images, out=out, to=to, on_error="skip", registry=plugins)
        assert names(found) == ["a.jpg", "sub/c.jpg"]
        assert [error.file for error in found.skipped] == [str(damaged)]
        assert str(damaged) in found.to_dict()["skipped"][0]
        extra = ["detections.jsonl"] if to else []
        assert everything_below(out) == ["a.jpg", "detections.json", *extra, "sub/c.jpg"]
        assert len(json.loads((out / "detections.json").read_text("utf-8"))["pictures"]) == 2
        if to:
            assert len((out / "detections.jsonl").read_text("utf-8").splitlines()) == 2

    def test_only_bad_ones(self, damaged: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError):
            predict(TwoEverywhere(), damaged, out=tmp_path / "out", on_error="skip")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"score": -0.1}, "the score is -0.1"),
        ({"score": 1.5}, "the score is 1.5"),
        ({"score": float("nan")}, "the score is nan"),
        ({"batch_size": 0}, "the batch size is 0"),
        ({"batch_size": -4}, "the batch size is -4"),
        ({"out": "memory://somewhere"}, "not a local folder"),
        ({"on_error": "ignore"}, "ignore"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], text: str, images: Path) -> None:
    with pytest.raises(UsageError, match=text):
        predict(TwoEverywhere(), images, **arguments)


class TestLoadModel:
    def test_no_run(self, tmp_path: Path, plugins: Registry) -> None:
        with pytest.raises(RunError, match="does not exist"):
            load_model(tmp_path / "gone", registry=plugins)

    def test_a_run_without_a_model(self, tmp_path: Path, plugins: Registry) -> None:
        run = Run.create(tmp_path / "run", backend="average", config={}, label_map=CLASSES, inputs={})
        run.update(status="interrupted")
        with pytest.raises(RunError, match=r"has no model: it is interrupted, and .*average\.json") as caught:
            load_model(run, registry=plugins)
        assert "--resume" in caught.value.remedy

    def test_a_backend_that_is_not_installed(self, tmp_path: Path, plugins: Registry) -> None:
        run = Run.create(tmp_path / "run", backend="detectron", config={}, label_map=CLASSES, inputs={})
        with pytest.raises(PluginNotFoundError, match="detectron"):
            load_model(run, registry=plugins)
