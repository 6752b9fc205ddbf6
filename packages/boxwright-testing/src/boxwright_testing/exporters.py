"""Tests of an exporter: a deployable form of a trained model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import BoxwrightError, Dataset, Detections, Run, Sample, load_model, train
from boxwright.datasets import SampleReader
from boxwright.models import Model
from boxwright.plugins import Detection, Option, Registered, Registry
from boxwright_testing.probe import PROBE, with_probe
from boxwright_testing.samples import drawn_samples
from boxwright_testing.specs import SpecTests, check_answer

_trained: dict[type[ExporterTests], Path] = {}
"""One run a test class: training is what takes the time."""
_exported: dict[tuple[type[ExporterTests], str], tuple[Path, Path]] = {}
"""The folder and the name of the artifact, of each precision of a test class."""


class ExporterTests(SpecTests):
    """The rules for every exporter. Exports a model that was trained on eight drawn images.

    Set in the subclass:

    - ``exporter``: the exporter's name.
    - ``backend``, ``preset``, ``settings``, ``image_size``, ``epochs``: what to train; a tiny backend of
      boxwright-testing by default, for exporters that export any model of ``load_model``.
    - ``score_tolerance``, ``edge_tolerance``: how far scores and edges (in pixels) may lie from the run's own.
    - ``least_score``: detections below it are not compared, since they may fall to either side of a limit.
    - ``unavailable``: the precisions that this computer does not have, which are not tested.
    """

    kind: ClassVar[str] = "exporter"
    exporter: ClassVar[str] = ""
    backend: ClassVar[str] = PROBE
    preset: ClassVar[str | None] = None
    settings: ClassVar[Mapping[str, object]] = {}
    image_size: ClassVar[tuple[int, int] | None] = (64, 64)
    epochs: ClassVar[int] = 2
    labels: ClassVar[Sequence[str]] = ("square", "wide")
    score_tolerance: ClassVar[float] = 1e-3
    edge_tolerance: ClassVar[float] = 0.5
    least_score: ClassVar[float] = 0.0
    unavailable: ClassVar[Sequence[str]] = ()

    @property
    def spec_name(self) -> str:
        """The exporter's name."""
        return self.exporter

    def _roles(self, entry: Registered[Any]) -> list[tuple[str, tuple[Option, ...]]]:
        roles: list[tuple[str, tuple[Option, ...]]] = [("load", entry.spec.options)]
        return [*roles, ("detect", ())] if entry.spec.detect else roles

    @pytest.fixture
    def plugins(self, registry: Registry, entry: Registered[Any]) -> Registry:
        """The plugins under test, and the tiny backend."""
        return with_probe(registry) if self.backend == PROBE else registry

    @pytest.fixture
    def run(self, plugins: Registry, tmp_path_factory: pytest.TempPathFactory) -> Run:
        """A finished run; trained once for all tests of the class."""
        cls = type(self)
        if cls not in _trained:
            folder = tmp_path_factory.mktemp("exporter")
            samples = drawn_samples(folder / "pictures", 8, labels=self.labels, empty=1)
            _trained[cls] = train(
                Dataset(SampleReader(samples)),
                out=folder / "run",
                backend=self.backend,
                preset=self.preset,
                settings=self.settings,
                image_size=self.image_size,
                epochs=self.epochs,
                seed=3,
                registry=plugins,
            ).path
        return Run(_trained[cls])

    @pytest.fixture
    def images(self, tmp_path: Path) -> list[Sample]:
        """Images that were not trained on, of two sizes."""
        return [
            *drawn_samples(tmp_path / "pictures", 3, labels=self.labels, seed=9, empty=1),
            *drawn_samples(tmp_path / "pictures", 2, labels=self.labels, seed=10, size=(90, 50)),
        ]

    def make(self, registry: Registry) -> Any:
        """An exporter that is ready to export."""
        return registry.resolve("exporter", self.exporter)()

    def precisions(self, registry: Registry) -> list[str]:
        """The precisions that this computer has; an empty one for an exporter without precisions."""
        precisions: Sequence[str] = registry.get("exporter", self.exporter).spec.precisions or ("",)
        return [each for each in precisions if each not in self.unavailable]

    def exported(self, registry: Registry, run: Run, out: Path, *, again: bool = False) -> Iterator[tuple[str, Path]]:
        """Every precision with its artifact, each in a folder of its own below ``out``.

        Each is exported once for all tests of the class, and copied; with ``again``, it is exported into ``out``.
        """
        exporter = self.make(registry)
        for precision in self.precisions(registry):
            folder = out / (precision or "plain")
            folder.parent.mkdir(parents=True, exist_ok=True)
            key = type(self), precision
            if again or key not in _exported:
                made = folder if again else run.path.parent / f"exported-{precision or 'plain'}"
                made.mkdir()
                artifact = exporter.export(run, made, precision)
                assert isinstance(artifact, Path), f"export returned {artifact!r}; return the artifact's path"
                if again:
                    yield precision, artifact
                    continue
                _exported[key] = made, artifact.relative_to(made)
            made, name = _exported[key]
            shutil.copytree(made, folder)
            yield precision, folder / name

    def load(self, registry: Registry, artifact: Path) -> Model:
        """An artifact as a model."""
        model: Model = registry.resolve("exporter", self.exporter)().load(artifact)
        return model

    def test_the_factory_takes_its_options(self, registry: Registry, entry: Registered[Any]) -> None:
        """An exporter is made without arguments."""
        exporter = registry.resolve("exporter", self.exporter)()
        assert callable(exporter.export), "export is nothing that can be called"
        assert callable(exporter.load), "load is nothing that can be called"

    def test_precisions_are_names(self, entry: Registered[Any]) -> None:
        """Each is unique, and can be typed after a colon: ``openvino:fp16``."""
        precisions = entry.spec.precisions
        assert len(set(precisions)) == len(precisions), f"duplicate precision: {precisions}"
        for precision in precisions:
            assert precision.replace("_", "").replace("-", "").isalnum(), f"precision {precision!r}"
            assert precision == precision.lower(), f"precision {precision!r}: lower case"

    def test_the_artifact_lies_in_its_folder(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """``export`` returns a path inside ``out`` that exists, leaves the run unchanged and needs no network.

        No file contains the path of a folder of this computer.
        """
        before = _contents(run.path)
        with self.offline():
            for precision, artifact in self.exported(plugins, run, tmp_path, again=True):
                inside = (tmp_path / (precision or "plain")).resolve()
                assert artifact.exists(), f"{artifact} is not there"
                assert inside == artifact.resolve() or inside in artifact.resolve().parents, f"{artifact} is outside"
                written = _contents(inside)
                assert written, f"there is nothing in {artifact}"
                for folder in (run.path.parent, tmp_path, Path(tempfile.gettempdir(), tempfile.gettempprefix())):
                    named = [path for path, content in written.items() if str(folder).encode() in content]
                    assert not named, f"{named} contain the path {folder}, which is of this computer"
        assert _contents(run.path) == before, "exporting changed the run"

    def test_the_artifact_finds_what_the_run_finds(
        self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path
    ) -> None:
        """For every precision: the same classes, scores and boxes as the run's own model, within the tolerances."""
        expected = list(load_model(run, registry=plugins).predict(images))
        assert any(detections.boxes for detections in expected), "the run finds nothing: train it longer"
        for precision, artifact in self.exported(plugins, run, tmp_path / "out"):
            model = self.load(plugins, artifact)
            assert model.label_map == run.label_map, f"{precision}: the artifact has other classes than the run"
            found = list(model.predict(images))
            assert [one.image.name for one in found] == [sample.image.name for sample in images], precision
            for one, two in zip(found, expected, strict=True):
                assert self._unmatched(one, two) == [], f"{precision}, {one.image.name}: only the artifact finds it"
                assert self._unmatched(two, one) == [], f"{precision}, {one.image.name}: only the run finds it"

    def _unmatched(self, one: Detections, two: Detections) -> list[Any]:
        """The detections of ``one`` that are missing in ``two``."""
        return [
            box
            for box in one.boxes
            if box.attributes["score"] >= self.least_score
            and not any(
                box.label == other.label
                and abs(box.attributes["score"] - other.attributes["score"]) <= self.score_tolerance
                and max(abs(a - b) for a, b in zip(box.coordinates, other.coordinates, strict=True))
                <= self.edge_tolerance
                for other in two.boxes
            )
        ]

    def test_the_artifact_can_be_moved(self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path) -> None:
        """In another place, and without the run, it finds the same: it is what is deployed."""
        precision, artifact = next(self.exported(plugins, run, tmp_path / "out"))
        before = list(self.load(plugins, artifact).predict(images))
        moved = tmp_path / "moved"
        (tmp_path / "out").rename(moved)
        hidden = run.path.with_name("hidden")
        run.path.rename(hidden)
        try:
            after = list(self.load(plugins, moved / artifact.relative_to(tmp_path / "out")).predict(images))
        finally:
            hidden.rename(run.path)
        assert after == before, f"{precision}: the artifact finds something else in another place"

    def test_batch_size_and_least_score_are_kept_to(
        self, plugins: Registry, run: Run, images: list[Sample], tmp_path: Path
    ) -> None:
        """The artifact answers as a run's model does: one by one or together, and nothing below ``score``."""
        _, artifact = next(self.exported(plugins, run, tmp_path / "out"))
        model = self.load(plugins, artifact)
        assert list(model.predict([])) == [], "detections in no images"
        count = len(images)
        together = list(model.predict(images, batch_size=count))
        for one, two in zip(model.predict(images, batch_size=1), together, strict=True):
            assert self._unmatched(one, two) == self._unmatched(two, one) == [], (
                f"{one.image.name}: one by one it finds something else"
            )
        scores = sorted(score for found in together for score in found.scores)
        least = scores[len(scores) // 2] if scores else 0.5
        assert list(model.predict(images, batch_size=len(images), score=least)) == [f.above(least) for f in together], (
            f"score={least} does not return exactly the detections above it"
        )

    def test_what_is_no_artifact_is_refused(self, plugins: Registry, tmp_path: Path) -> None:
        """A path where nothing is, or something else, is an error that names it and says what to do."""
        (tmp_path / "notes.txt").write_text("milk\n", "utf-8")
        for name in ("nothing", "notes.txt"):
            with pytest.raises(BoxwrightError) as caught:
                list(self.load(plugins, tmp_path / name).predict([]))
            check_answer(caught.value, name)

    def test_detection_knows_its_artifacts(
        self, plugins: Registry, entry: Registered[Any], run: Run, tmp_path: Path
    ) -> None:
        """``detect``, where there is one, says yes to every artifact, and no with a reason to anything else."""
        if not entry.spec.detect:
            pytest.skip(f"the exporter {self.exporter} recognises no models of others")
        detect = plugins.resolve("exporter", self.exporter, "detect")
        for precision, artifact in self.exported(plugins, run, tmp_path / "out"):
            answer = detect(str(artifact))
            assert isinstance(answer, Detection), f"detect returned {answer!r}; return a Detection"
            assert answer.matches, f"{precision}: detect does not recognize its own artifact: {answer.reason}"
        (tmp_path / "notes.txt").write_text("milk\n", "utf-8")
        for name in ("nothing", "notes.txt"):
            answer = detect(str(tmp_path / name))
            assert not answer.matches, f"detect takes {name} for its own: {answer.reason}"
            assert answer.reason, f"detect refuses {name} without a reason"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
