"""Prediction with models whose answers are known: what comes back, and what stands in the folder."""

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
from boxwright.images import decode as images
from boxwright.models.inference import load_model
from boxwright.models.prediction import Prediction, gather
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry

CLASSES = LabelMap.from_names(["date", "fig"])


class TwoEverywhere:
    """Finds a fig with 0.9 and a date with 0.4 in every picture, without looking."""

    label_map = CLASSES

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        batch = list(samples)
        self.batches.append(len(batch))
        for sample in batch:
            edges = np.array([[10, 20, 30, 40.126], [1, 2, 3, 4]])
            yield Detections.from_arrays(sample.image, ["fig", "date"], edges, [0.9, 0.4])


class FindsTheMark:
    """Finds the white mark in a black picture by its pixels, and says so in the sample's frame."""

    label_map = CLASSES

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            picture = images.decode_sample(sample)
            edges = picture.to_annotation(np.array([mark_of(picture.image)]))
            yield Detections.from_arrays(sample.image, ["fig"], edges, [1.0])


def mark_of(image: Image.Image) -> tuple[float, ...]:
    rows, columns = np.nonzero(np.asarray(image.convert("L")) > 127)
    return (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def turned_picture(orientation: int) -> bytes:
    """A black picture, stored 96x64, with a white mark at (16, 8, 40, 56) of the stored pixels."""
    image = Image.new("RGB", (96, 64))
    image.paste((255, 255, 255), (16, 8, 40, 56))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def truncated() -> bytes:
    """A JPEG whose header is whole and whose pixels are not."""
    pixels = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def names(prediction: Prediction) -> list[str]:
    return [found.image.name for found in prediction.detections]


def everything_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestInputs:
    def test_a_folder_with_everything_in_it(self, pictures: Path, plugins: Registry) -> None:
        (pictures / ".cache").mkdir()
        for name in (".cache/x.jpg", ".hidden.jpg", "notes.txt"):
            (pictures / name).write_bytes(b"no picture")
        found = predict(TwoEverywhere(), pictures, registry=plugins)
        assert names(found) == ["a.jpg", "b.png", "sub/c.jpg"]
        assert found.detections[2].image.location == os.path.join(str(pictures), "sub", "c.jpg")
        assert (found.drawings, found.files, found.skipped) == ([], [], [])

    def test_the_endings_of_pictures_in_capitals(self, tmp_path: Path, picture_bytes: Callable[..., bytes]) -> None:
        (tmp_path / "DSC_1.JPG").write_bytes(picture_bytes())
        assert names(predict(TwoEverywhere(), tmp_path)) == ["DSC_1.JPG"]

    def test_pictures_one_by_one_in_the_order_given(self, pictures: Path, plugins: Registry) -> None:
        given: list[str | Path] = [pictures / "sub" / "c.jpg", str(pictures / "a.jpg")]
        assert names(predict(TwoEverywhere(), given, registry=plugins)) == ["c.jpg", "a.jpg"]
        assert names(predict(TwoEverywhere(), pictures / "b.png", registry=plugins)) == ["b.png"]

    def test_a_named_picture_needs_no_ending(self, tmp_path: Path, picture_bytes: Callable[..., bytes]) -> None:
        (tmp_path / "photo").write_bytes(picture_bytes())
        assert names(predict(TwoEverywhere(), tmp_path / "photo")) == ["photo"]

    def test_pictures_and_folders_together(self, pictures: Path, plugins: Registry) -> None:
        found = predict(TwoEverywhere(), [pictures / "b.png", pictures / "sub"], registry=plugins)
        assert names(found) == ["b.png", "c.jpg"]

    def test_one_uri(self, truths: str, plugins: Registry) -> None:
        for inputs in (truths, [truths]):
            assert names(predict(TwoEverywhere(), inputs, registry=plugins)) == ["a.jpg", "b.jpg"]

    def test_a_dataset_whose_boxes_do_not_come_back(
        self, dataset: Callable[..., Dataset], sample: Callable[..., Sample]
    ) -> None:
        (found,) = predict(TwoEverywhere(), dataset(sample("m.jpg", ("fig", 5, 5, 6, 6)))).detections
        assert found.image.name == "m.jpg"
        assert found.boxes.edges == ((10, 20, 30, 40.126), (1, 2, 3, 4))

    def test_a_picture_whose_name_looks_like_a_uri(self, tmp_path: Path, picture_bytes: Callable[..., bytes]) -> None:
        path = tmp_path / "lines:a.jpg"
        path.write_bytes(picture_bytes())
        assert names(predict(TwoEverywhere(), path)) == ["lines:a.jpg"]

    def test_upright_sizes(self, tmp_path: Path) -> None:
        (tmp_path / "turned.png").write_bytes(turned_picture(6))
        (found,) = predict(FindsTheMark(), tmp_path).detections
        assert (found.image.width, found.image.height) == (64, 96)

    def test_mixtures_are_refused(self, pictures: Path, truths: str, plugins: Registry) -> None:
        mixtures: list[list[str | Path]] = [[pictures / "a.jpg", truths], [truths, truths]]
        for mixture in mixtures:
            with pytest.raises(UsageError, match="one dataset URI, or images and folders, not both") as caught:
                gather(mixture, registry=plugins)
            assert truths in caught.value.message

    def test_nothing_given(self) -> None:
        with pytest.raises(UsageError, match="nothing to predict on"):
            gather([])

    def test_what_is_not_there(self, pictures: Path, plugins: Registry) -> None:
        gone = str(pictures / "gone.jpg")
        several: list[str | Path] = [pictures / "a.jpg", gone]
        for inputs in (gone, several):
            with pytest.raises(DataError, match="image or folder not found") as caught:
                predict(TwoEverywhere(), inputs, registry=plugins)
            assert caught.value.file == gone

    def test_a_folder_without_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        with pytest.raises(DataError, match="it contains no readable image"):
            predict(TwoEverywhere(), tmp_path / "in", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestAnswers:
    def test_the_score_is_a_lower_bound_that_counts(self, pictures: Path) -> None:
        def labels(score: float) -> list[tuple[str, ...]]:
            return [found.boxes.labels for found in predict(TwoEverywhere(), pictures, score=score).detections]

        assert labels(0.0) == labels(0.4) == [("fig", "date")] * 3
        assert labels(0.41) == labels(0.9) == [("fig",)] * 3
        assert labels(1.0) == [()] * 3

    @pytest.mark.parametrize(("batch_size", "batches"), [(1, [1, 1, 1]), (2, [2, 1]), (8, [3])])
    def test_batches(self, batch_size: int, batches: list[int], pictures: Path) -> None:
        model = TwoEverywhere()
        predict(model, pictures, batch_size=batch_size)
        assert model.batches == batches

    def test_a_run_by_folder_by_object_and_its_model(self, truths: str, tmp_path: Path, plugins: Registry) -> None:
        run = train(truths, out=tmp_path / "run", registry=plugins)
        for model in (str(run.path), run.path, run, load_model(run, registry=plugins)):
            found = predict(model, truths, registry=plugins)
            assert found.detections[0].boxes.xyxy[0] == pytest.approx([30, 24, 50, 40])
            assert found.detections[0].scores == (0.5,)

    def test_pictures_held_in_memory_are_let_go(self, picture_bytes: Callable[..., bytes], sample: Any) -> None:
        held = sample("m.jpg", image={"data": picture_bytes()})
        (found,) = predict(TwoEverywhere(), Dataset(SampleReader([held]))).detections
        assert found.image.data is None
        assert found.boxes.labels == ("fig", "date")

    def test_plain_values(self, pictures: Path) -> None:
        plain = predict(TwoEverywhere(), pictures / "a.jpg", score=0.5).to_dict()
        assert json.loads(json.dumps(plain)) == {
            "pictures": [
                {
                    "picture": str(pictures / "a.jpg"),
                    "width": 100,
                    "height": 80,
                    "detections": [{"label": "fig", "score": 0.9, "box": [10.0, 20.0, 30.0, 40.13]}],
                }
            ],
            "drawn": [],
            "files": [],
            "skipped": [],
        }


class TestOut:
    def test_what_stands_there(self, pictures: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        found = predict(TwoEverywhere(), pictures, out=out, score=0.5)
        assert everything_below(out) == ["a.jpg", "b.jpg", "detections.json", "sub/c.jpg"]
        assert found.drawings == [out / "a.jpg", out / "b.jpg", out / "sub" / "c.jpg"]
        assert found.files == [out / "detections.json"]
        content = json.loads((out / "detections.json").read_text("utf-8"))
        assert content["score"] == 0.5
        assert content["pictures"] == found.to_dict()["pictures"]
        with Image.open(out / "b.jpg") as drawn:
            assert drawn.format == "JPEG"
            assert drawn.width * 80 == drawn.height * 100
        assert sorted(os.listdir(tmp_path)) == ["out", "pictures"]

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
    def test_every_picture_has_a_drawing_of_its_own(
        self, files: list[str], drawn: list[str], tmp_path: Path, picture_bytes: Callable[..., bytes]
    ) -> None:
        (tmp_path / "in").mkdir()
        for name in files:
            (tmp_path / "in" / name).write_bytes(picture_bytes(format="PNG"))
        found = predict(TwoEverywhere(), tmp_path / "in", out=tmp_path / "out")
        assert everything_below(tmp_path / "out") == sorted([*drawn, "detections.json"])
        assert sorted(path.name for path in found.drawings) == sorted(drawn)

    def test_pictures_of_one_name_in_two_folders(self, tmp_path: Path, picture_bytes: Callable[..., bytes]) -> None:
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.jpg").write_bytes(picture_bytes())
        found = predict(TwoEverywhere(), [tmp_path / "one", tmp_path / "two"], out=tmp_path / "out")
        assert names(found) == ["a.jpg", "a-2.jpg"]
        assert everything_below(tmp_path / "out") == ["a-2.jpg", "a.jpg", "detections.json"]

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_turned_picture_is_drawn_upright(
        self, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[tuple[tuple[float, ...], Any]] = []

        def draw(image: Image.Image, boxes: Any, *rest: Any, **options: Any) -> Image.Image:
            drawn.append((mark_of(image), boxes.tolist()))
            return image

        monkeypatch.setattr("boxwright.render.boxes.draw_boxes", draw)
        path = tmp_path / "turned.png"
        path.write_bytes(turned_picture(orientation))
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
        if orientation > 4:  # a dataset that has its boxes in the stored frame gets its answers there
            assert found.detections[0].boxes.edges == ((16, 8, 40, 56),)

    def test_an_older_folder_is_kept(self, pictures: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("dear")
        with pytest.raises(OutputError, match="out"):
            predict(TwoEverywhere(), pictures, out=tmp_path / "out")
        assert everything_below(tmp_path / "out") == ["mine.txt"]

    def test_unless_it_may_be_replaced(self, pictures: Path, tmp_path: Path) -> None:
        predict(TwoEverywhere(), pictures, out=tmp_path / "out")
        predict(TwoEverywhere(), pictures / "sub", out=tmp_path / "out", overwrite=True)
        assert everything_below(tmp_path / "out") == ["c.jpg", "detections.json"]

    def test_beside_the_pictures(self, pictures: Path) -> None:
        predict(TwoEverywhere(), pictures, out=pictures / "found")
        assert everything_below(pictures / "found") == ["a.jpg", "b.jpg", "detections.json", "sub/c.jpg"]


class TestAsADataset:
    def test_the_file_and_what_it_says(self, pictures: Path, tmp_path: Path, plugins: Registry) -> None:
        out = tmp_path / "out"
        found = predict(TwoEverywhere(), pictures, out=out, to="lines", score=0.5, registry=plugins)
        assert found.files == [out / "detections.json", out / "detections.jsonl"]
        rows = [json.loads(line) for line in (out / "detections.jsonl").read_text("utf-8").splitlines()]
        box = ["fig", 10.0, 20.0, 30.0, 40.126]
        assert rows == [{"name": n, "size": [100, 80], "boxes": [box]} for n in ("a.jpg", "b.png", "sub/c.jpg")]
        assert len(found.drawings) == len(found.detections) == 3

    def test_what_it_cannot_hold_is_said(
        self, pictures: Path, tmp_path: Path, plugins: Registry, caplog: pytest.LogCaptureFixture
    ) -> None:
        predict(TwoEverywhere(), pictures, out=tmp_path / "out", to="lines", registry=plugins)
        assert "lines cannot hold everything that was found; left out: score: 6 boxes" in caplog.text

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [({"to": "lines"}, UsageError), ({"to": "nothing", "out": "out"}, PluginNotFoundError)],
    )
    def test_refused(
        self, arguments: dict[str, Any], error: type[BoxwrightError], pictures: Path, plugins: Registry
    ) -> None:
        if "out" in arguments:
            arguments = arguments | {"out": pictures.parent / "out"}
        with pytest.raises(error):
            predict(TwoEverywhere(), pictures, registry=plugins, **arguments)
        assert not (pictures.parent / "out").exists()


class TestBadPictures:
    @pytest.fixture(params=["header", "pixels"])
    def damaged(self, request: pytest.FixtureRequest, pictures: Path) -> Path:
        """One picture that cannot be read, between two with a mark."""
        for name in ("a.jpg", "sub/c.jpg"):
            (pictures / name).write_bytes(turned_picture(1))
        path = pictures / "b.png"
        path.write_bytes(b"no picture" if request.param == "header" else truncated())
        return path

    @pytest.mark.parametrize("to", [None, "lines"])
    @pytest.mark.parametrize("model", [TwoEverywhere, FindsTheMark])
    def test_fail(
        self, model: Callable[[], Any], to: str | None, damaged: Path, pictures: Path, tmp_path: Path, plugins: Registry
    ) -> None:
        with pytest.raises(DataError) as caught:
            predict(model(), pictures, out=tmp_path / "out", to=to, registry=plugins)
        assert caught.value.file == str(damaged)
        assert caught.value.remedy
        assert os.listdir(tmp_path) == ["pictures"]

    @pytest.mark.parametrize("to", [None, "lines"])
    @pytest.mark.parametrize("model", [TwoEverywhere, FindsTheMark])
    def test_skip(
        self, model: Callable[[], Any], to: str | None, damaged: Path, pictures: Path, tmp_path: Path, plugins: Registry
    ) -> None:
        out = tmp_path / "out"
        found = predict(model(), pictures, out=out, to=to, on_error="skip", registry=plugins)
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
def test_wrong_arguments(arguments: dict[str, Any], text: str, pictures: Path) -> None:
    with pytest.raises(UsageError, match=text):
        predict(TwoEverywhere(), pictures, **arguments)


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
