"""The check of an export: mistakes that conversions make are found and named, rounding is not a mistake."""

from __future__ import annotations

import io
import json
import math
import re
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import (
    BackendSpec,
    Boxes,
    Dataset,
    Detections,
    ExportError,
    ExporterSpec,
    ImageRef,
    LabelMap,
    MetricResult,
    MetricSpec,
    Run,
    Sample,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.models import (
    DecoderSettings,
    InputSettings,
    Network,
    NetworkExporter,
    PortableModel,
    Suppressed,
    write_settings,
)
from boxwright.models.parity import EXACT, LIMITS, Pair, average_precision, compare
from boxwright.plugins.registry import Registry
from boxwright_testing.mutations import MUTATIONS

INPUTS = InputSettings(width=40, height=24)
CLASSES = LabelMap.from_names(["red", "green", "blue"], sort=False)
ROWS, COLUMNS = 3, 5


def cells(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box around each cell of 8x8 pixels, found again a pixel to the right; how red, green and blue the cell is."""
    means = images.reshape(1, ROWS, 8, COLUMNS, 8, 3).mean(axis=(2, 4)).reshape(1, -1, 3)
    means = means @ np.array([[1, 0.3, 0], [0, 0.7, 0.1], [0, 0, 0.9]])
    scores = 1 / (1 + np.exp(-(means - 120) / 12))
    y, x = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS) * np.full((2, 1), 8)
    boxes = np.stack([x + 1, y, x + 7.5, y + 7], axis=-1)[None]
    both = (
        np.concatenate([boxes, boxes + np.array([1, 0, 1, 0])], axis=1),
        np.concatenate([scores, 0.9 * scores], axis=1),
    )
    return both[0].astype(np.float32), both[1].astype(np.float32)


def model_of(network: Any = cells) -> PortableModel:
    return PortableModel(CLASSES, INPUTS, Suppressed(network, INPUTS, DecoderSettings()))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Images of colored cells with noise, of another aspect ratio than the input."""
    random = np.random.default_rng(5)
    samples = []
    for number in range(6):
        colors = random.choice([40, 125, 130, 150], (ROWS, COLUMNS, 3))
        pixels = np.kron(colors, np.ones((20, 24, 1))) + random.normal(0, 30, (60, 120, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "PNG")
        image = ImageRef(name=f"{number}.png", width=120, height=60, data=buffer.getvalue())
        label = CLASSES.names[number % 3]
        samples.append(Sample(image=image, boxes=Boxes([label], [(3, 0, 22.5, 17.5)])))
    return Dataset(SampleReader(samples), uri="lines:memory")


@dataclass
class Exporting:
    """A run of a network, and its export as something else."""

    run: Run
    plugins: Registry
    toys: types.ModuleType
    out: Path

    def __call__(self, model: PortableModel, data: Dataset, precision: str = "fp32") -> boxwright.models.Export:
        class Exporter:
            def export(self, run: Run, out: Path, precision: str = "") -> Path:
                (out / "model").write_text(precision)
                return out / "model"

            def load(self, artifact: Path) -> PortableModel:
                return model

        self.toys.Exporter = Exporter  # type: ignore[attr-defined]
        return boxwright.export(self.run, f"other:{precision}", self.out, data=data, registry=self.plugins)


class Backend:
    def fit(self, job: Any) -> None:
        job.epoch_ended(1, {})

    def load(self, run: Run) -> PortableModel:
        return model_of()


SPECS = (
    BackendSpec(name="cells", load="toys:Backend", presets={"plain": ""}),
    ExporterSpec(name="other", load="toys:Exporter", precisions=("fp32", "fp16", "int8")),
)


class MeanScore:
    def __call__(self, pairs: Any, label_map: LabelMap) -> MetricResult:
        means = np.array([np.mean(found.scores) for _, found in pairs if found.scores])
        drawn = np.random.default_rng(len(means)).choice(means, 100)
        return MetricResult({"AP": float(means.mean())}, main="AP", drawn={"AP": drawn})


@pytest.fixture
def exporting(
    data: Dataset, make_registry: Callable[..., Registry], toys: types.ModuleType, tmp_path: Path
) -> Exporting:
    toys.Backend = Backend  # type: ignore[attr-defined]
    plugins = make_registry(*SPECS)
    run = boxwright.train(data, out=tmp_path / "run", backend="cells", registry=plugins)
    return Exporting(run, plugins, toys, tmp_path / "out")


def test_the_same_network_passes(exporting: Exporting, data: Dataset) -> None:
    made = exporting(model_of(), data)
    assert made.parity.problems == []
    assert made.parity.total.compared > 60
    assert made.parity.matched == 1
    assert made.parity.largest_difference == 0


def test_rounding_errors_pass(exporting: Exporting, data: Dataset) -> None:
    def rounded(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes, scores = cells(images)
        return boxes + np.float32(1e-3), (scores * np.float32(1 + 1e-4)).clip(0, 1)

    made = exporting(model_of(rounded), data)
    assert made.parity.matched == 1
    assert 0 < made.parity.largest_difference <= 1e-4 + 1e-6


CAUSES = {
    "BGR for RGB": "BGR",
    "wrong mean": "mean",
    "swapped classes": "classes are in another order: .*red is detected as green",
    "boxes as yxyx": "yxyx",
    "boxes as xywh": "boxes are in another order",
    "boxes shifted by a pixel": "shifted",
    "wrong resize": "resized",
    "score without sigmoid": "sigmoid",
    "suppression over all classes": "over all classes",
    "no suppression": "suppression is missing",
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found_and_named(name: str, exporting: Exporting, data: Dataset) -> None:
    with pytest.raises(ExportError, match="likely cause: .*" + CAUSES[name]) as caught:
        exporting(MUTATIONS[name](model_of()), data)
    assert caught.value.exit_code == 1
    kept = exporting.out.with_name("out-rejected")
    assert not exporting.out.exists()
    assert (kept / "model").is_file()
    assert json.loads((kept / "artifact.json").read_text())["check"]["passed"] is False
    assert str(kept) in caught.value.remedy


def test_a_folder_of_the_user_is_not_replaced_by_a_rejected_artifact(exporting: Exporting, data: Dataset) -> None:
    mine = exporting.out.with_name("out-rejected")
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    for _ in range(2):  # the second one replaces the first
        with pytest.raises(ExportError, match="out-rejected-2"):
            exporting(MUTATIONS["swapped classes"](model_of()), data)
    assert (mine / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in mine.parent.glob("out*")) == ["out-rejected", "out-rejected-2"]


SMALL = [(name, "fp16") for name in MUTATIONS] + [
    # Quantization may change the scores as much as these two do; the AP on a dataset tells them apart.
    (name, "int8")
    for name in MUTATIONS
    if name not in ("wrong mean", "wrong resize")
]


@pytest.mark.parametrize(("name", "precision"), SMALL)
def test_the_larger_limits_of_small_numbers_find_them_too(
    name: str, precision: str, exporting: Exporting, data: Dataset
) -> None:
    with pytest.raises(ExportError):
        exporting(MUTATIONS[name](model_of()), data, precision)


def test_a_run_whose_detections_depend_on_rounding_is_named(exporting: Exporting, data: Dataset) -> None:
    """A saturated network: of two boxes that overlap, both with a score of 1, one remains."""

    def saturated(images: np.ndarray, rounding: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        boxes, scores = cells(images)
        scores[:] = 1
        scores[:, :4] -= np.float32(rounding)
        return boxes, scores

    exporting.toys.Backend = type("Saturated", (Backend,), {"load": lambda self, run: model_of(saturated)})  # type: ignore[attr-defined]
    with pytest.raises(ExportError, match="likely cause: .*almost the same score, so that rounding decides"):
        exporting(model_of(lambda images: saturated(images, 2e-6)), data)
    assert exporting(model_of(saturated), data).parity.matched == 1


def test_images_of_the_networks_size_are_not_enough(exporting: Exporting, data: Dataset) -> None:
    """They show nothing of how others are resized: so some are checked at another size."""
    samples = []
    for sample in data:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(sample.image.read())) as image:
            image.resize((INPUTS.width, INPUTS.height), Image.Resampling.NEAREST).save(buffer, "PNG")
        samples.append(Sample(image=ImageRef(name=sample.image.name, width=40, height=24, data=buffer.getvalue())))
    with pytest.raises(ExportError, match="resized"):
        exporting(MUTATIONS["wrong resize"](model_of()), Dataset(SampleReader(samples)))


class InProgram(NetworkExporter):
    """Its model is not one of boxwright's own: a program, which decodes images itself."""

    model = "model"
    read: ClassVar[list[bytes]] = []

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        write_settings(Network(out, replace(INPUTS, jpeg="fast"), DecoderSettings(), CLASSES), out)
        (out / "model").write_text("")
        return out / "model"

    def load(self, artifact: Path, device: str = "") -> Any:
        return self

    label_map = CLASSES

    def predict(self, samples: Any, **options: Any) -> Any:
        for sample in samples:
            self.read.append(sample.image.read()[:4])
            yield from model_of().predict([sample])

    @staticmethod
    def load_network(path: str) -> Any:
        return cells


def test_a_run_that_decodes_jpeg_in_another_way_is_compared_on_decoded_images(
    exporting: Exporting, data: Dataset
) -> None:
    """Whatever the exporter loads; and the report says so."""
    exporting.toys.Exporter = InProgram  # type: ignore[attr-defined]
    made = boxwright.export(exporting.run, "other", exporting.out, data=jpegs(data), registry=exporting.plugins)
    assert any("compared on decoded images" in note for note in made.notes)
    assert set(InProgram.read) == {b"\x89PNG"}


def jpegs(data: Dataset) -> Dataset:
    samples = []
    for sample in data:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(sample.image.read())) as image:
            image.save(buffer, "JPEG")
        samples.append(sample.replace(image=sample.image.model_copy(update={"data": buffer.getvalue()})))
    return Dataset(SampleReader(samples))


def test_the_rejection_names_classes_and_sizes(exporting: Exporting, data: Dataset) -> None:
    def colorblind(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes, scores = cells(images)
        scores[..., 2] = 0
        return boxes, scores

    with pytest.raises(ExportError, match=r"blue: (\d+) of \1 missing\n  small: ") as caught:
        exporting(model_of(colorblind), data)
    assert "red:" not in str(caught.value)


def detections(*found: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    labels, scores, boxes = zip(*found, strict=True) if found else ((), (), ())
    image = ImageRef(name="a.jpg", width=200, height=200)
    return Detections.from_arrays(image, labels, np.array(boxes, float).reshape(-1, 4), scores)


MUG = ("mug", 0.9, (10.0, 10.0, 50.0, 50.0))


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        ([MUG], (1, 0, 0, 0)),
        ([("mug", 0.8995, MUG[2])], (1, 0, 0, 0)),
        ([("mug", 0.898, MUG[2])], (1, 0, 1, 0)),
        ([("key", 0.9, MUG[2])], (1, 1, 0, 1)),
        ([], (1, 1, 0, 0)),
        ([MUG, MUG], (1, 0, 0, 1)),
        ([MUG, ("mug", 0.3005, (100.0, 100.0, 150.0, 150.0))], (1, 0, 0, 0)),
        ([("mug", 0.9, (10.0, 10.0, 46.0, 49.0))], (1, 1, 0, 1)),
    ],
)
def test_detections_are_matched_one_to_one(found: list[Any], counts: tuple[int, ...]) -> None:
    """Compared, missing, rescored, added; the last box has an IoU of 0.8775, that of 0.3005 may be below the limit."""
    pair = Pair(Sample(image=ImageRef(name="a.jpg", width=200, height=200)), detections(MUG), detections(*found))
    many = [Pair(pair.sample, detections(*[("far", 0.99, (160.0, 160.0, 199.0, 199.0))] * 20), detections())]
    total = compare([pair, *many], EXACT).total
    assert (total.compared - 20, total.missing - 20, total.rescored, total.added) == counts


def test_few_sure_detections_are_not_enough() -> None:
    """The run is sure of nothing: so its best detections are compared, whatever their score."""
    pair = Pair(
        Sample(image=ImageRef(name="a.jpg", width=200, height=200)),
        detections(("mug", 0.2, MUG[2]), ("key", 0.1, MUG[2])),
        detections(("mug", 0.2, MUG[2])),
    )
    assert compare([pair], EXACT).total.missing == 1


def test_the_ap_decides_for_small_numbers(
    exporting: Exporting, data: Dataset, make_registry: Callable[..., Registry], toys: types.ModuleType
) -> None:
    """The metric is the mean score: 1 % lower it is 0.004 to 0.01 lower."""
    toys.MeanScore = MeanScore  # type: ignore[attr-defined]
    exporting.plugins = make_registry(*SPECS, MetricSpec(name="coco", load="toys:MeanScore"))

    def lower(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes, scores = cells(images)
        return boxes, scores * np.float32(0.99)

    with pytest.raises(ExportError, match="with another score"):
        exporting(model_of(lower), data, "fp32")
    with pytest.raises(ExportError, match=r"AP is 0\.\d+, not 0\.\d+ \(at most 0.2 points apart\)") as caught:
        exporting(model_of(lower), data, "fp16")
    assert "likely cause: rounding changes scores by up to 0.0" in str(caught.value)
    assert re.search(
        r"its difference is -0\.\d+ points \(95 % interval -0\.\d+ to -0\.\d+\), more than", str(caught.value)
    )
    made = exporting(model_of(lower), data, "int8")
    assert made.parity.ap is not None
    assert 0.004 < made.parity.ap[0] - made.parity.ap[1] < 0.01


def test_the_limits() -> None:
    """Those that were agreed on, in points of AP."""
    assert (EXACT.matched, EXACT.score, EXACT.ap) == (0.995, 0.001, 0.1)
    assert (LIMITS["fp16"].ap, LIMITS["int8"].ap) == (0.2, 2.0)


def test_an_ap_that_is_not_a_number_decides_nothing() -> None:
    """Ground truth of regions alone has no AP; it must not replace the limit for matched detections."""
    pair = Pair(
        Sample(image=ImageRef(name="a.jpg", width=200, height=200), boxes=Boxes(["DontCare"], [(1, 2, 3, 4)])),
        detections(MUG),
        detections(MUG),
    )
    measure = lambda pairs, label_map: MetricResult({"AP": math.nan}, main="AP")  # noqa: E731
    assert average_precision([pair], model_of(), measure) is None  # type: ignore[arg-type]
