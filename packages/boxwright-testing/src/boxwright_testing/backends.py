"""Tests of a model backend."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import (
    DataError,
    Dataset,
    Detections,
    ImageRef,
    LabelMap,
    Run,
    Sample,
    TrainerSpec,
    TrainJob,
    load_model,
    train,
)
from boxwright.datasets import SampleReader
from boxwright.models import Backend, Model, OneReplica, ReplicatedBackend, Shard
from boxwright.plugins import Registered, Registry
from boxwright_testing.probe import with_trainer
from boxwright_testing.samples import drawn_samples
from boxwright_testing.sandbox import check_network, no_network
from boxwright_testing.specs import SpecTests, check_answer

_trained: dict[type[BackendTests], Path] = {}
"""One run a test class: training is what takes the time."""

_asked: dict[type[BackendTests], list[str]] = {}
"""What each of these trainings asked of the network."""


_STEPS = "boxwright-testing-steps"


class StepByStep:
    """A trainer of one replica, that continues after the first step from its state."""

    def train(self, backend: Backend, job: TrainJob) -> None:
        """Trains twice: one step, and all others."""
        assert isinstance(backend, ReplicatedBackend), f"{type(backend).__name__} is not a ReplicatedBackend"
        replicas = OneReplica()
        with backend.start(job, replicas) as training:
            training.restore(training.state())
            training.step([next(training.batches(Shard()))])
            state = training.state()
        with backend.start(job, replicas) as training:
            training.restore(state)
            batches = training.batches(Shard())
            while not training.done:
                training.step([next(batches)])
            training.finish()


class BackendTests(SpecTests):
    """The rules for every backend. Trains on eight drawn images, a few epochs at a time.

    Set in the subclass:

    - ``backend`` and ``preset``: what to train; the preset should be the backend's smallest.
    - ``settings``: the backend's own options, such as those that make a tiny network.
    - ``image_size``, ``batch_size``: small enough for a test.
    - ``reproducible``: false if the same seed does not promise the same numbers.
    - ``resumable``: false for a backend that trains in one go.
    - ``least_score``, ``most_detections``: the score below which, and the number an image above which, the backend
      leaves detections out on its own; 0 and 100 by default.
    - ``score_tolerance``, ``edge_tolerance``: how far scores and edges (in pixels) may differ between batch sizes,
      where the backend's library sums in another order.
    """

    kind: ClassVar[str] = "backend"
    backend: ClassVar[str] = ""
    preset: ClassVar[str | None] = None
    settings: ClassVar[Mapping[str, object]] = {}
    image_size: ClassVar[tuple[int, int] | None] = (64, 64)
    batch_size: ClassVar[int | None] = 4
    labels: ClassVar[Sequence[str]] = ("square", "wide")
    reproducible: ClassVar[bool] = True
    resumable: ClassVar[bool] = True
    least_score: ClassVar[float] = 0.0
    most_detections: ClassVar[int] = 100
    score_tolerance: ClassVar[float] = 1e-3
    edge_tolerance: ClassVar[float] = 0.5

    @property
    def spec_name(self) -> str:
        """The backend's name."""
        return self.backend

    def train(self, registry: Registry, folder: Path, out: Path, **changes: Any) -> Run:
        """Trains two epochs on eight drawn images, of which one has no box."""
        samples = drawn_samples(folder, 8, labels=self.labels, empty=1)
        arguments: dict[str, Any] = {
            "out": out,
            "backend": self.backend,
            "preset": self.preset,
            "settings": self.settings,
            "image_size": self.image_size,
            "batch_size": self.batch_size,
            "epochs": 2,
            "seed": 3,
            "registry": registry,
        }
        return train(Dataset(SampleReader(samples, str(folder))), **(arguments | changes))

    @pytest.fixture
    def trained(self, registry: Registry, entry: Registered[Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
        """A finished run; trained once for all tests of the class."""
        cls = type(self)
        if cls not in _trained:
            folder = tmp_path_factory.mktemp("backend")
            with no_network() as _asked[cls]:
                _trained[cls] = self.train(registry, folder / "pictures", folder / "run").path
        return Run(_trained[cls])

    @pytest.fixture
    def model(self, registry: Registry, trained: Run) -> Model:
        """The model of the finished run, loaded."""
        return load_model(trained, registry=registry)

    @pytest.fixture
    def images(self, tmp_path: Path) -> list[Sample]:
        """Images that were not trained on, of two sizes, one without boxes."""
        return [
            *drawn_samples(tmp_path, 4, labels=self.labels, seed=9, empty=1),
            *drawn_samples(tmp_path, 2, labels=self.labels, seed=10, size=(90, 50)),
        ]

    def test_the_factory_takes_its_options(self, registry: Registry, entry: Registered[Any]) -> None:
        """A backend is made without arguments; the user's settings are passed to ``fit`` in ``job.settings``."""
        backend = registry.resolve("backend", self.backend)()
        assert callable(backend.fit), "fit is nothing that can be called"
        assert callable(backend.load), "load is nothing that can be called"

    def test_presets_are_described(self, entry: Registered[Any]) -> None:
        """Every preset has one line for the lists; the first is what a newcomer gets."""
        assert entry.spec.presets, "name at least one preset"
        assert all(entry.spec.presets.values()), "a preset has no description"

    def test_weights_are_described(self, entry: Registered[Any]) -> None:
        """Pretrained weights name their file, digest, data and presets, and a converter that can be imported."""
        for weights in entry.spec.weights:
            name = f"the weights {weights.name!r}"
            described = (weights.summary, weights.trained_on, weights.homepage)
            assert all(described), f"{name} need a summary, trained_on and homepage: {described}"
            unknown = set(weights.presets) - set(entry.spec.presets)
            assert not unknown, f"{name} belong to presets that do not exist: {unknown}"
            if weights.origin != "download":
                assert re.fullmatch(r"[0-9a-f]{64}", weights.sha256), f"{name}: sha256 is not a digest"
                assert all((weights.file, weights.size)), f"{name} name no file, or not its size"
            assert weights.install or weights.origin != "package", f"{name} do not say how to install their package"
            if weights.convert:
                module, _, function = weights.convert.partition(":")
                assert callable(getattr(importlib.import_module(module), function)), f"{name}: convert is not callable"

    def test_the_check_accepts_what_trains(self, registry: Registry, entry: Registered[Any], trained: Run) -> None:
        """``BackendSpec.check`` raises nothing for the configuration of a training that works."""
        if entry.spec.check:
            registry.resolve(self.kind, self.backend, "check")(trained.config, held_out=False)

    def test_training_leaves_a_whole_run(self, trained: Run) -> None:
        """The run is done, contains a model, and has one line of finite metrics an epoch.

        On failure: call ``job.epoch_ended(epoch, metrics)`` after each epoch, counted from 1, and write the model
        below ``job.run.file("model")``.
        """
        assert trained.status == "done", f"the run is {trained.status}"
        lines = trained.metrics()
        assert [line["epoch"] for line in lines] == [1, 2], f"metrics.jsonl has {lines}"
        assert trained.state["epochs_done"] == 2, (
            f"the run counts {trained.state['epochs_done']} epochs, and two were done"
        )
        for line in lines:
            assert all(math.isfinite(value) for value in line.values() if isinstance(value, float)), line
        files = [path for path in trained.file("model").rglob("*") if path.is_file()]
        assert files, "there is no file in the run's folder model/"
        assert all(path.stat().st_size for path in files), "a file of the model is empty"

    def test_training_needs_no_network(self, trained: Run) -> None:
        """Weights are fetched only where the user asks for them; this machine itself may be reached."""
        check_network([] if self.needs_network else _asked[type(self)])

    def test_it_trains_step_by_step(
        self, registry: Registry, trained: Run, model: Model, images: list[Sample], tmp_path: Path
    ) -> None:
        """A ``ReplicatedBackend`` finds the same after it was trained step by step, and continued from a state.

        On failure: ``step`` must do what a step of ``fit`` does, and ``state`` contain everything that the next one
        depends on.
        """
        if not isinstance(registry.resolve("backend", self.backend)(), ReplicatedBackend):
            pytest.skip(f"{self.backend} does not offer its training step by step")
        plugins = with_trainer(registry, TrainerSpec(name=_STEPS, load="boxwright_testing.backends:StepByStep"))
        run = self.train(plugins, tmp_path / "pictures", tmp_path / "run", trainer=_STEPS)
        assert run.status == "done", f"the run is {run.status}"
        pairs = zip(model.predict(images), load_model(run, registry=registry).predict(images), strict=True)
        for expected, found in pairs:
            assert self._unmatched(expected, found) == [], f"{found.image.name}: only found by the model of fit"
            assert self._unmatched(found, expected) == [], f"{found.image.name}: only found after training by steps"

    def test_predictions_are_well_formed(self, model: Model, images: list[Sample]) -> None:
        """One answer an image, in order, in that image's pixels, best first, with labels of the label map."""
        found = list(model.predict(images, batch_size=4))
        assert [detections.image.name for detections in found] == [sample.image.name for sample in images], (
            "not one answer an image, in order"
        )
        assert isinstance(model.label_map, LabelMap), "model.label_map is not a LabelMap"
        assert model.label_map.names == tuple(sorted(self.labels)), f"the classes are {model.label_map.names}"
        for sample, detections in zip(images, found, strict=True):
            assert isinstance(detections, Detections), f"predict gave {detections!r}; give Detections"
            width, height = sample.image.width, sample.image.height
            assert list(detections.scores) == sorted(detections.scores, reverse=True), "detections come best first"
            for label, (xmin, ymin, xmax, ymax) in zip(
                detections.boxes.labels, detections.boxes.coordinates, strict=True
            ):
                assert label in model.label_map, f"{label!r} is not in the label map"
                assert 0 <= xmin < xmax <= width, f"{sample.image.name}: columns {xmin} to {xmax} of {width}"
                assert 0 <= ymin < ymax <= height, f"{sample.image.name}: rows {ymin} to {ymax} of {height}"

    def test_predicting_again_returns_the_same(
        self, registry: Registry, trained: Run, model: Model, images: list[Sample]
    ) -> None:
        """Prediction is not random, and a model that is loaded again is the same model."""
        first = list(model.predict(images, batch_size=4))
        assert list(model.predict(images, batch_size=4)) == first, "the second prediction differs from the first"
        assert list(load_model(trained, registry=registry).predict(images, batch_size=4)) == first, (
            "loaded again, the model predicts something else"
        )

    def test_batch_size_does_not_change_predictions(self, model: Model, images: list[Sample]) -> None:
        """An image's detections do not depend on its neighbours: neither on their content nor on their size."""
        together, alone = list(model.predict(images, batch_size=6)), list(model.predict(images, batch_size=1))
        for one, two in zip(together, alone, strict=True):
            assert self._unmatched(one, two) == [], f"{one.image.name}: only found in a batch of six"
            assert self._unmatched(two, one) == [], f"{one.image.name}: only found alone"

    def _unmatched(self, one: Detections, two: Detections) -> list[Any]:
        """The detections of ``one`` that are missing in ``two``, except for those at a limit."""
        least = self.least_score + self.score_tolerance if self.least_score else 0.0
        if len(two.boxes) >= self.most_detections:
            least = max(least, two.scores[-1] + self.score_tolerance)
        return [
            box
            for box in one.boxes
            if box.attributes["score"] >= least
            and not any(
                box.label == other.label
                and abs(box.attributes["score"] - other.attributes["score"]) <= self.score_tolerance
                and max(abs(a - b) for a, b in zip(box.coordinates, other.coordinates, strict=True))
                <= self.edge_tolerance
                for other in two.boxes
            )
        ]

    def test_the_least_score_is_kept_to(self, model: Model, images: list[Sample]) -> None:
        """``score=`` leaves out exactly what is below it."""
        everything = list(model.predict(images, batch_size=6, score=0.0))
        scores = sorted(score for found in everything for score in found.scores)
        least = scores[len(scores) // 2] if scores else 0.5
        assert list(model.predict(images, batch_size=6, score=least)) == [f.above(least) for f in everything], (
            f"score={least} does not return exactly the detections above it"
        )

    def test_no_images_return_no_detections(self, model: Model) -> None:
        """An empty stream is valid."""
        assert list(model.predict([])) == [], "detections in no images"

    def test_a_missing_image_is_a_data_error(self, model: Model, tmp_path: Path) -> None:
        """Prediction names the image that cannot be read and says what to do."""
        gone = Sample(image=ImageRef(name="gone.jpg", width=8, height=8, location=str(tmp_path / "gone.jpg")))
        with pytest.raises(DataError) as caught:
            list(model.predict([gone]))
        check_answer(caught.value, "gone")

    def test_the_same_seed_produces_the_same_training(
        self, registry: Registry, trained: Run, model: Model, images: list[Sample], tmp_path: Path
    ) -> None:
        """Training again with the same seed produces the same losses, epoch by epoch, and the same detections."""
        if not self.reproducible:
            pytest.skip(f"the backend {self.backend} does not promise it")
        again = self.train(registry, tmp_path / "data", tmp_path / "run")
        for one, two in zip(trained.metrics(), again.metrics(), strict=True):
            assert _losses(one) == _losses(two), f"the losses were {_losses(one)} and then {_losses(two)}"
        assert list(load_model(again, registry=registry).predict(images)) == list(model.predict(images)), (
            "trained again with the same seed, it finds something else"
        )

    def test_an_interrupted_training_goes_on(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a stop at the end of the second of three epochs, ``resume`` does the rest and not all of it again.

        On failure: write a checkpoint each epoch, and with ``job.resume`` continue from the newest.
        """
        if not self.resumable:
            pytest.skip(f"the backend {self.backend} trains in one go")
        out = tmp_path / "run"
        ended: list[int] = []
        epoch_ended = TrainJob.epoch_ended

        def stopping(job: TrainJob, epoch: int, metrics: Mapping[str, float]) -> None:
            ended.append(epoch)
            epoch_ended(job, epoch, metrics)
            if len(ended) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(TrainJob, "epoch_ended", stopping)
        with pytest.raises(KeyboardInterrupt):
            self.train(registry, tmp_path / "data", out, epochs=3)
        assert Run(out).status == "interrupted", f"the run is {Run(out).status}; Ctrl-C must be raised unchanged"
        run = self.train(registry, tmp_path / "data", out, epochs=3, resume=True)
        assert run.status == "done", f"the run is {run.status}"
        assert ended[:2] == [1, 2], f"the epochs before the stop were {ended[:2]}"
        assert ended[2:] in ([2, 3], [3]), f"the resumed training did the epochs {ended[2:]}"
        assert [line["epoch"] for line in run.metrics()] == [1, 2, 3], f"metrics.jsonl has {run.metrics()}"
        assert list(load_model(run, registry=registry).predict([])) == [], "the resumed model does not load"


def _losses(line: Mapping[str, Any]) -> dict[str, Any]:
    """An epoch's numbers that do not depend on the clock."""
    return {name: value for name, value in line.items() if "loss" in name or name == "epoch"}
