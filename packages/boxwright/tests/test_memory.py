"""Datasets from objects in memory and the other way, as an integrator uses them."""

from __future__ import annotations

import dataclasses
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import boxwright
from boxwright import (
    Boxes,
    DataError,
    Dataset,
    Detection,
    Detections,
    FormatSpec,
    ImageRef,
    LabelMap,
    Sample,
    UsageError,
)
from boxwright.datasets.arrays import to_numpy
from boxwright.models.prediction import gather
from boxwright.plugins.registry import Registry


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for name, color in (("a.png", (200, 0, 0)), ("b.png", (0, 0, 200))):
        Image.new("RGB", (40, 30), color).save(tmp_path / name)

    def image(name: str) -> ImageRef:
        return ImageRef(name=name, width=40, height=30, location=str(tmp_path / name))

    boxes = Boxes(["fig", "date"], [(1, 2, 11, 12), (5.5, 6, 20, 30)], [{"difficult": 1}, {}])
    return [Sample(image=image("a.png"), boxes=boxes, split="train"), Sample(image=image("b.png"), split="val")]


class TestSamples:
    def test_a_list_a_generator_and_a_function(self, samples: list[Sample]) -> None:
        for given in (samples, (sample for sample in samples), lambda: iter(samples)):
            data = boxwright.from_samples(given)  # type: ignore[arg-type]
            assert list(data) == list(data) == samples
            assert data.label_map.names == ("date", "fig")

    def test_a_function_is_called_for_each_pass(self, samples: list[Sample]) -> None:
        calls: list[int] = []

        def make() -> Iterator[Sample]:
            calls.append(1)
            return iter(samples)

        data = boxwright.from_samples(make, label_map=LabelMap.from_names(["fig", "date"], sort=False))
        assert (len(list(data)), len(list(data)), len(calls)) == (2, 2, 2)
        assert data.label_map.names == ("fig", "date")

    def test_length_and_items(self, samples: list[Sample]) -> None:
        data = boxwright.from_samples(samples)
        assert len(data) == 2
        assert (data[0], data[-1]) == (samples[0], samples[1])
        with pytest.raises(IndexError):
            data[2]
        stream = boxwright.from_samples(lambda: samples)
        assert stream
        with pytest.raises(TypeError, match="not known"):
            len(stream)
        with pytest.raises(TypeError, match="in order only"):
            stream[0]

    def test_a_transform_applies_to_items_and_hides_the_length(self, samples: list[Sample]) -> None:
        class Renamed:
            per_sample = True

            def __call__(self, samples: Any) -> Iterator[Sample]:
                return (sample.replace(split="other") for sample in samples)

        data = boxwright.from_samples(samples).through(Renamed())
        assert data[1].split == "other"
        with pytest.raises(TypeError):
            len(data)

    def test_it_can_be_pickled(self, samples: list[Sample], ground_truth: str, plugins: Registry) -> None:
        for data in (boxwright.from_samples(samples), boxwright.open(ground_truth, registry=plugins)):
            again: Dataset = pickle.loads(pickle.dumps(data))
            assert list(again) == list(data)
            assert again.uri == data.uri


class TestPandas:
    def test_both_ways(self, samples: list[Sample]) -> None:
        frame = boxwright.to_pandas(boxwright.from_samples(samples))
        assert list(frame.columns[:8]) == ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
        assert frame["filename"].tolist() == ["a.png", "a.png", "b.png"]
        assert frame["xmin"].tolist()[:2] == [1.0, 5.5]
        assert frame["class"].isna().tolist() == [False, False, True]
        again = list(boxwright.from_pandas(frame))
        assert [sample.replace(source="") for sample in again] == samples

    def test_the_rows_of_a_csv_file(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\nc.png,40,30,fig,1,2,3,4\n")
        (sample,) = boxwright.from_pandas(pd.read_csv(tmp_path / "x.csv"), images=tmp_path)
        assert sample.boxes == Boxes(["fig"], [(1, 2, 3, 4)])
        assert sample.image.location == str(tmp_path / "c.png")

    def test_what_is_wrong_is_named(self) -> None:
        row = {"filename": "a", "width": 9, "height": 9, "class": "fig", "xmin": 5, "ymin": 2, "xmax": 3, "ymax": 4}
        with pytest.raises(UsageError, match="no column class, ymax"):
            boxwright.from_pandas(pd.DataFrame([row]).drop(columns=["class", "ymax"]))
        with pytest.raises(DataError, match="row 0: box 1 .fig.: xmin 5 is greater than xmax 3"):
            boxwright.from_pandas(pd.DataFrame([row]))
        with pytest.raises(DataError, match="row 0"):
            boxwright.from_pandas(pd.DataFrame([row | {"width": None}]))


class TestArrays:
    @pytest.mark.parametrize(
        ("form", "expected"),
        [
            ("xyxy", [1, 2, 11, 12]),
            ("xywh", [1, 2, 10, 10]),
            ("yxyx", [2, 1, 12, 11]),
            ("center_xywh", [6, 7, 10, 10]),
            ("rel_xyxy", [1 / 40, 2 / 30, 11 / 40, 12 / 30]),
            ("rel_yxyx", [2 / 30, 1 / 40, 12 / 30, 11 / 40]),
            ("rel_xywh", [1 / 40, 2 / 30, 10 / 40, 10 / 30]),
            ("rel_center_xywh", [6 / 40, 7 / 30, 10 / 40, 10 / 30]),
        ],
    )
    def test_every_box_format(self, samples: list[Sample], form: str, expected: list[float]) -> None:
        arrays = to_numpy(boxwright.from_samples(samples), bounding_box_format=form)
        first, second = arrays
        assert first["images"].shape == (30, 40, 3)
        assert first["images"][0, 0].tolist() == [200, 0, 0]
        np.testing.assert_allclose(first["bounding_boxes"]["boxes"][0], expected, rtol=1e-6)
        assert first["bounding_boxes"]["classes"].tolist() == [1, 0]
        assert second["bounding_boxes"]["boxes"].shape == (0, 4)
        assert (len(arrays), arrays[1]["images"][0, 0].tolist()) == (2, [0, 0, 200])

    def test_it_is_a_loader_with_a_size(self, samples: list[Sample]) -> None:
        (first, _) = boxwright.from_samples(samples).to_numpy(image_size=(80, 30))
        assert first["images"].shape == (30, 80, 3)
        np.testing.assert_allclose(first["bounding_boxes"]["boxes"][0], [2, 2, 22, 12])
        with pytest.raises(UsageError, match="unknown bounding_box_format"):
            to_numpy(boxwright.from_samples(samples), bounding_box_format="xyz")


class TestInputs:
    def test_arrays_images_bytes_and_paths_are_the_same(self, samples: list[Sample]) -> None:
        path = str(samples[0].image.location)
        with Image.open(path) as image:
            image.load()
        array = np.asarray(image)
        for given in (array, image, Path(path).read_bytes(), path, Path(path)):
            for inputs in (given, [given], [given, array]):
                sample = next(iter(gather(inputs)))
                assert (sample.image.width, sample.image.height) == (40, 30)
                (first, *_) = to_numpy(boxwright.from_samples([sample]))
                assert np.array_equal(first["images"], array)

    def test_gray(self) -> None:
        (sample,) = gather(np.full((20, 10), 7, np.uint8))
        assert (sample.image.width, sample.image.height) == (10, 20)

    @pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), 3, object()])
    def test_what_is_not_an_image(self, wrong: object) -> None:
        with pytest.raises(UsageError, match="input 0 is a"):
            gather(wrong)
        with pytest.raises(DataError, match="image-0000"):
            gather([b"no image"])


class TestNotebooks:
    def test_a_format_without_a_package(self, tmp_path: Path, plugins: Registry) -> None:
        class Reader:
            def __init__(self, location: str, label: str = "fig") -> None:
                self.location, self.label = location, label
                self.info = boxwright.DatasetInfo(format="mine", location=location)

            def read(self, on_problem: Any) -> Iterator[Sample]:
                for name in Path(self.location).read_text().split():
                    image = ImageRef(name=name, width=9, height=9)
                    yield Sample(image=image, boxes=Boxes([self.label], [(1, 2, 3, 4)]))

        class Writer:
            def __init__(self, output: Any, label_map: LabelMap | None) -> None:
                self.file = output.open()

            def write(self, sample: Sample) -> None:
                self.file.write(sample.image.name.encode() + b"\n")

            def close(self) -> None:
                self.file.close()

        options = (boxwright.Option("label", str),)
        for _ in range(2):  # a cell that is run again
            boxwright.register_format(
                "mine", reader=Reader, writer=Writer, suffixes=(".mine",), options=options, registry=plugins
            )
        with pytest.raises(UsageError, match="suffixes is 3"):  # the format stays as it is
            boxwright.register_format("mine", reader=Reader, suffixes=3, registry=plugins)  # type: ignore[arg-type]
        (tmp_path / "a.mine").write_text("x.jpg y.jpg")
        data = boxwright.open(f"mine:{tmp_path}/a.mine?label=date", registry=plugins)
        assert [(s.image.name, s.boxes.labels) for s in data] == [("x.jpg", ("date",)), ("y.jpg", ("date",))]
        boxwright.convert(data, tmp_path / "b.mine", registry=plugins)
        assert (tmp_path / "b.mine").read_text() == "x.jpg\ny.jpg\n"

    def test_what_cannot_be_registered(self, plugins: Registry) -> None:
        for name, more in (("lines", {"reader": list}), ("mine", {}), ("mine", {"reader": list, "sufixes": ()})):
            with pytest.raises(UsageError):
                boxwright.register_format(name, registry=plugins, **more)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="a name is two or more"):
            boxwright.register_format("M", reader=list, registry=plugins)
        assert "mine" not in plugins.names("format")

    def test_html_with_the_images(self, samples: list[Sample], tmp_path: Path) -> None:
        gone = samples[0].replace(image=samples[0].image.model_copy(update={"name": "<b>", "location": "gone.png"}))
        html = boxwright.from_samples([*samples, gone])._repr_html_()
        assert html.count("<img") == 2
        assert "data:image/jpeg;base64," in html
        assert "&lt;b&gt;" in html
        assert "gone.png: file not found" in html

    def test_short_texts(self, samples: list[Sample]) -> None:
        assert repr(boxwright.from_samples(samples)) == "<Dataset memory, 2 images>"
        found = Detections(image=samples[0].image, boxes=Boxes(["fig"], [(1, 2, 3, 4)], [{"score": 0.5}]))
        prediction = boxwright.Prediction([found] * 1000)
        assert repr(prediction) == "<Prediction 1,000 images, 1,000 detections>"
        assert prediction._repr_html_().count("<img") == 4

    def test_one_image(self, samples: list[Sample]) -> None:
        (first, *_) = samples
        assert repr(first) == "<Sample 'a.png' 40x30, 2 boxes: fig 1, date 1>"
        found = Detections(image=first.image, boxes=Boxes(["<i>"], [(1, 2, 3, 4)], [{"score": 0.5}]))
        assert repr(found) == "<Detections 'a.png' 40x30, 1 boxes: <i> 1>"
        html = found._repr_html_()
        assert html.count("<img") == 1
        assert "&lt;i&gt; 1" in html
        assert "<i>" not in html
        large = Image.effect_noise((1400, 1400), 99).convert("RGB")
        content = io.BytesIO()
        large.save(content, "PNG")
        name = "x" * 70_000
        image = ImageRef(name=name, width=1400, height=1400, data=content.getvalue())
        many = Boxes([name] * 5000, [(float(i % 1000), 0, 1100, 1100) for i in range(5000)])
        sample = Sample(image=image, boxes=many)
        assert len(repr(sample)) < 300
        assert 10_000 < len(sample._repr_html_()) < 600_000


class TestBridges:
    def test_supervision(self, samples: list[Sample]) -> None:
        supervision = pytest.importorskip("supervision")
        classes = LabelMap.from_names(["date", "fig"])
        truth = boxwright.to_supervision(samples[0], classes)
        assert isinstance(truth, supervision.Detections)
        assert truth.xyxy[0].tolist() == [1, 2, 11, 12]
        assert (truth.class_id.tolist(), truth.confidence) == ([1, 0], None)
        assert truth.box_area[0] == 100
        found = Detections(
            image=samples[0].image,
            boxes=Boxes(["fig", "date"], [(1, 2, 3, 4), (5, 6, 7.5, 8)], [{"score": 0.75}, {"score": 0.5}]),
        )
        theirs = boxwright.to_supervision(found, classes)
        assert boxwright.from_supervision(theirs, found.image) == found
        best_last = theirs[::-1]
        assert boxwright.from_supervision(best_last, found.image) == found
        best_last.data = {}
        assert boxwright.from_supervision(best_last, found.image, classes) == found
        with pytest.raises(UsageError, match="no names of classes"):
            boxwright.from_supervision(best_last, found.image)
        with pytest.raises(UsageError, match="no scores"):
            boxwright.from_supervision(truth, found.image)
        with pytest.raises(DataError, match="'fig' is not in the label map"):
            boxwright.to_supervision(found, LabelMap.from_names(["date"]))
        empty = boxwright.to_supervision(Detections(image=found.image), classes)
        assert len(boxwright.from_supervision(empty, found.image).boxes) == 0

    def test_fiftyone(self, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
        """With the arguments that FiftyOne documents: a box is [left, top, width, height], relative to the image."""

        class Recorded(dict[str, Any]):
            def __init__(self, name: str | None = None, **values: Any) -> None:
                super().__init__(values, name=name)

            def add_samples(self, added: list[Any]) -> None:
                self["samples"] = added

        names = ("Dataset", "Detection", "Detections", "ImageMetadata", "Sample")
        stub = types.SimpleNamespace(**dict.fromkeys(names, Recorded))
        monkeypatch.setitem(sys.modules, "fiftyone", stub)
        given = samples[0].replace(split="train", boxes=Boxes(["fig"], [(1, 3, 11, 18)], [{"score": 0.5, "id": 7}]))
        made = boxwright.to_fiftyone(boxwright.from_samples([given]), "mine")
        (one,) = made["samples"]
        assert (made["name"], one["filepath"], one["tags"]) == ("mine", given.image.location, ["train"])
        (box,) = one["ground_truth"]["detections"]
        assert box["bounding_box"] == [1 / 40, 0.1, 0.25, 0.5]
        assert (box["label"], box["confidence"]) == ("fig", 0.5)
        assert "id" not in box
        embedded = given.replace(image=given.image.model_copy(update={"location": None}))
        with pytest.raises(DataError, match="FiftyOne needs the location"):
            boxwright.to_fiftyone(boxwright.from_samples([embedded]))


def test_paths_wherever_a_dataset_is_expected(
    ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], toys: types.ModuleType, lines: FormatSpec
) -> None:
    toys.detect = lambda place: Detection(place.endswith(".jsonl"), "its name")  # type: ignore[attr-defined]
    plugins = make_registry(dataclasses.replace(lines, detect="toys:detect"))
    path = Path(ground_truth.removeprefix("lines:"))
    boxwright.convert(path, tmp_path / "a.jsonl", registry=plugins)
    assert boxwright.validate(path, images="none", registry=plugins).parts[0].images == 2
    run = boxwright.train(path, out=tmp_path / "run", registry=plugins)
    assert boxwright.evaluate(run, path, metric="found", registry=plugins).samples == 2
