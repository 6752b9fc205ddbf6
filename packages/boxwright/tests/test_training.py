"""From a dataset to a run folder, with the example backend and small backends that fail as real ones do."""

from __future__ import annotations

import json
import logging
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright import (
    BackendSpec,
    Boxes,
    DataError,
    Dataset,
    ImageRef,
    LabelMap,
    MetricSpec,
    Option,
    RunError,
    Sample,
    TrainerSpec,
    UsageError,
    train,
)
from boxwright.datasets import SampleReader
from boxwright.models.job import TrainJob
from boxwright.models.protocols import MetricResult
from boxwright.models.run import Run
from boxwright.plugins.registry import Registry

# The mean of the three boxes of `ground_truth`: (0.1, 0.1, 0.3, 0.3), (0.5, 0.5, 0.7, 0.7), (0.3, 0.3, 0.5, 0.5).
AVERAGE = [0.3, 0.3, 0.5, 0.5]


class Stoppable:
    """A backend of three epochs that stops at a set point, and resumes after the last complete epoch."""

    stop: BaseException | None = None
    stop_after = 3
    jobs: list[TrainJob]
    trained: list[int]

    def fit(self, job: TrainJob) -> None:
        cls = type(self)
        cls.jobs.append(job)
        first = len(job.run.metrics()) + 1 if job.resume else 1
        for epoch in range(first, 4):
            cls.trained.append(epoch)
            job.epoch_ended(epoch, {"loss": 1 / epoch})
            with job.run.open_write("checkpoints/last") as file:
                file.write(str(epoch).encode())
            job.checkpoint_written(job.run.file("checkpoints/last"), epoch)
            if cls.stop is not None and epoch == cls.stop_after:
                raise cls.stop


@pytest.fixture
def stoppable(toys: types.ModuleType) -> type[Stoppable]:
    class Fresh(Stoppable):
        jobs = []
        trained = []

    toys.Stoppable = Fresh  # type: ignore[attr-defined]
    return Fresh


STOPPABLE = BackendSpec(
    name="stoppable",
    load="toys:Stoppable",
    options=(Option("rate", float, 0.5),),
    objects={"model": "A model of your own", "callbacks": "Called at the end of each epoch"},
)


class Events:
    """Records the calls of every event hook."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def hooks(self) -> dict[str, Callable[..., None]]:
        def boxwright_run_started(run: Run, config: dict[str, object]) -> None:
            self.calls.append(("started", run.status, config["backend"], config["seed"]))

        def boxwright_epoch_ended(run: Run, epoch: int, metrics: dict[str, float]) -> None:
            self.calls.append(("epoch", epoch, dict(metrics), run.metrics()[-1]["epoch"]))

        def boxwright_checkpoint_written(run: Run, path: Path, epoch: int) -> None:
            self.calls.append(("checkpoint", path.relative_to(run.path).as_posix(), epoch, path.read_bytes()))

        def boxwright_run_ended(run: Run, status: str, error: BaseException | None) -> None:
            self.calls.append(("ended", status, Run(run.path).status, error))

        return {name: value for name, value in locals().items() if name.startswith("boxwright_")}


@pytest.fixture
def other_ground_truth(tmp_path: Path) -> str:
    path = tmp_path / "other.jsonl"
    path.write_text('{"name": "a.jpg", "size": [100, 80], "boxes": [["fig", 1, 2, 3, 4], ["date", 1, 2, 3, 4]]}\n')
    return f"lines:{path}"


def test_the_backend_checks_the_settings_before_the_data_is_read(
    toys: Any, make_registry: Callable[..., Registry], tmp_path: Path
) -> None:
    asked: list[tuple[Any, bool]] = []

    def check(config: dict[str, Any], *, held_out: bool) -> None:
        asked.append((config["settings"], held_out))
        raise UsageError("the rate is too high", "lower it")

    toys.check_rate = check
    plugins = make_registry(
        BackendSpec(name="checked", load="toys:Stoppable", check="toys:check_rate", options=(Option("rate", float),))
    )
    for val in (None, "lines:missing"):
        with pytest.raises(UsageError, match="the rate is too high"):
            train(
                "lines:missing", val=val, out=tmp_path / "run", backend="checked", settings={"rate": "5"},
                registry=plugins,
            )  # fmt: skip
    assert asked == [({"rate": 5.0}, False), ({"rate": 5.0}, True)]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("boxes", "val_boxes", "most"),
    [(66, None, 100), (80, None, 120), (210, None, 315), (2, 210, 315), (210, 3, 315)],
)
def test_the_number_of_detections_follows_from_the_data(
    stoppable: type[Stoppable],
    make_registry: Callable[..., Registry],
    reports: Any,
    tmp_path: Path,
    boxes: int,
    val_boxes: int | None,
    most: int,
) -> None:
    """Half as many again as the most crowded image has, of the training and the validation data, and at least 100."""

    def dataset(count: int) -> Dataset:
        image = ImageRef(name="a.jpg", width=100, height=80)
        return Dataset(SampleReader([Sample(image=image, boxes=Boxes(["fig"] * count, [(1, 2, 3, 4)] * count))]))

    train(
        dataset(boxes),
        val=None if val_boxes is None else dataset(val_boxes),
        out=tmp_path / "run",
        backend="stoppable",
        reporter=reports,
        registry=make_registry(STOPPABLE),
    )
    assert stoppable.jobs[0].most_detections == most
    reported = [text for text in reports.messages if "detections per image" in text]
    assert reported == (
        []
        if most == 100
        else [
            f"An image has {max(boxes, val_boxes or 0)} boxes: the model keeps up to {most} detections per image,"
            " instead of 100, if the settings do not limit them."
        ]
    )


class TestDone:
    def test_the_model_is_the_hand_computed_one(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        run = train(ground_truth, out=tmp_path / "run", registry=plugins)
        assert json.loads(run.file("model/average.json").read_bytes()) == pytest.approx(AVERAGE)

    def test_the_contents_of_the_run_folder(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        train(
            ground_truth, out=tmp_path / "run", epochs=4, batch_size=2, image_size=(64, 32), seed=7,
            augment=["flip"], settings={"rate": "0.25"}, registry=plugins,
        )  # fmt: skip
        run = Run(tmp_path / "run")
        assert run.status == "done"
        assert run.state["error"] is None
        assert run.state["seconds"] >= 0
        assert run.label_map.names == ("date", "fig")
        assert run.metrics() == [{"epoch": 1, "loss": 0.0}]
        assert not run.file(".in-use").exists()
        expected = {
            "data": ground_truth, "val": None, "backend": "average", "preset": "plain", "trainer": "local",
            "augment": ["flip"], "epochs": 4, "batch_size": 2, "eval_every": None, "image_size": [64, 32], "seed": 7,
            "settings": {"rate": 0.25}, "objects": [], "allow_overlap": False, "on_error": "1%", "log": [],
        }  # fmt: skip
        assert run.config == expected
        inputs = run.state["inputs"]["data"]
        assert (inputs["samples"], inputs["boxes"], inputs["classes"]) == (2, 3, {"date": 1, "fig": 2})

    def test_the_arguments_of_the_backend(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], stoppable: type[Stoppable]
    ) -> None:
        train(
            ground_truth, out=tmp_path / "run", val=ground_truth, backend="stoppable", epochs=4, batch_size=2,
            eval_every=3, image_size=(64, 32), seed=7, augment=[], settings={"rate": 2}, model=stoppable,
            objects={"callbacks": [print]}, registry=make_registry(STOPPABLE),
        )  # fmt: skip
        (job,) = stoppable.jobs
        assert job.eval_every == 3
        assert job.objects == {"model": stoppable, "callbacks": [print]}
        assert (job.preset, job.epochs, job.batch_size, job.image_size, job.seed) == ("", 4, 2, (64, 32), 7)
        assert (job.augment, job.resume, dict(job.settings)) == ((), False, {"rate": 2.0})
        assert job.scan.classes == {"date": 1, "fig": 2}
        assert job.label_map.names == job.data.label_map.names == ("date", "fig")
        assert [sample.image.name for sample in job.data] == ["a.jpg", "b.jpg"]
        assert job.val is not None
        assert job.val.label_map == job.label_map

    def test_settings_that_are_not_passed_are_left_to_the_backend(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], stoppable: type[Stoppable]
    ) -> None:
        train(ground_truth, out=tmp_path / "run", backend="stoppable", registry=make_registry(STOPPABLE))
        (job,) = stoppable.jobs
        assert (job.val, job.epochs, job.batch_size, job.image_size, job.augment) == (None,) * 5
        assert (job.seed, dict(job.settings)) == (0, {})

    def test_a_dataset_in_memory(
        self, sample: Callable[..., Sample], dataset: Callable[..., Dataset], tmp_path: Path, plugins: Registry
    ) -> None:
        data = dataset(sample("a.jpg", ("fig", 0, 0, 50, 40)))
        run = train(data, out=tmp_path / "run", registry=plugins)
        assert json.loads(run.file("model/average.json").read_bytes()) == [0, 0, 0.5, 0.5]

    def test_another_trainer_runs_it(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], toys: types.ModuleType
    ) -> None:
        seen: list[object] = []

        class Elsewhere:
            def train(self, backend: Any, job: TrainJob) -> None:
                seen.append(backend)
                backend.fit(job)

        toys.Elsewhere = Elsewhere  # type: ignore[attr-defined]
        plugins = make_registry(TrainerSpec(name="elsewhere", load="toys:Elsewhere"))
        run = train(ground_truth, out=tmp_path / "run", trainer="elsewhere", registry=plugins)
        assert len(seen) == 1
        assert run.config["trainer"] == "elsewhere"
        assert run.file("model/average.json").exists()

    def test_overwrite_replaces_a_run(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        train(ground_truth, out=tmp_path / "run", seed=1, registry=plugins)
        with pytest.raises(RunError, match="contains a run already"):
            train(ground_truth, out=tmp_path / "run", seed=2, registry=plugins)
        assert Run(tmp_path / "run").config["seed"] == 1
        new = train(ground_truth, out=tmp_path / "run", seed=2, overwrite=True, registry=plugins)
        assert new.path == tmp_path / "run"
        assert Run(tmp_path / "run").config["seed"] == 2
        assert not (tmp_path / "run.new").exists()


class TestEnds:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (KeyboardInterrupt(), "interrupted"),
            (ZeroDivisionError("no"), "failed"),
            (SystemExit(3), "failed"),
            (DataError("a.jpg", "gone"), "failed"),
        ],
    )
    def test_the_status_on_disk(
        self,
        error: BaseException,
        status: str,
        ground_truth: str,
        tmp_path: Path,
        make_registry: Callable[..., Registry],
        stoppable: type[Stoppable],
    ) -> None:
        stoppable.stop, stoppable.stop_after = error, 2
        events = Events()
        plugins = make_registry(STOPPABLE, **events.hooks())
        with pytest.raises(type(error)) as caught:
            train(ground_truth, out=tmp_path / "run", backend="stoppable", registry=plugins)
        assert caught.value is error
        run = Run(tmp_path / "run")
        assert (run.status, run.state["error"]) == (status, repr(error))
        assert not run.file(".in-use").exists()
        assert events.calls[-1] == ("ended", status, status, error)

    def test_the_order_of_event_hooks(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], stoppable: type[Stoppable]
    ) -> None:
        events = Events()
        plugins = make_registry(STOPPABLE, **events.hooks())
        train(ground_truth, out=tmp_path / "run", backend="stoppable", seed=5, registry=plugins)
        expected: list[tuple[Any, ...]] = [("started", "running", "stoppable", 5)]
        for epoch in (1, 2, 3):
            expected.append(("epoch", epoch, {"loss": 1 / epoch}, epoch))
            expected.append(("checkpoint", "checkpoints/last", epoch, str(epoch).encode()))
        assert events.calls == [*expected, ("ended", "done", "done", None)]

    @pytest.mark.parametrize("error", [ValueError("logger is down"), SystemExit(1)])
    def test_a_failing_event_hook_only_warns(
        self,
        error: BaseException,
        ground_truth: str,
        tmp_path: Path,
        make_registry: Callable[..., Registry],
        stoppable: type[Stoppable],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("BOXWRIGHT_STRICT", raising=False)

        def boxwright_epoch_ended(epoch: int) -> None:
            raise error

        events = Events()
        plugins = make_registry(
            STOPPABLE, **(events.hooks() | {"boxwright_epoch_ended": boxwright_epoch_ended})
        )  # fmt: skip
        with caplog.at_level(logging.WARNING, logger="boxwright"):
            run = train(ground_truth, out=tmp_path / "run", backend="stoppable", registry=plugins)
        assert run.status == "done"
        assert len(run.metrics()) == 3
        warned = [record for record in caplog.records if "boxwright_epoch_ended" in record.getMessage()]
        assert len(warned) == 1
        assert "toys" in warned[0].getMessage()
        assert [call[0] for call in events.calls] == ["started", *["checkpoint"] * 3, "ended"]


class TestResume:
    @pytest.fixture
    def interrupted(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], stoppable: type[Stoppable]
    ) -> Registry:
        """An interrupted run of one epoch in ``tmp_path / "run"``, and the plugins that made it."""
        plugins = make_registry(STOPPABLE)
        stoppable.stop, stoppable.stop_after = KeyboardInterrupt(), 1
        with pytest.raises(KeyboardInterrupt):
            train(
                ground_truth, out=tmp_path / "run", backend="stoppable", epochs=9, seed=3, val=ground_truth,
                settings={"rate": 0.125}, registry=plugins,
            )  # fmt: skip
        stoppable.stop = None
        return plugins

    def test_it_resumes_with_its_first_settings(
        self, ground_truth: str, tmp_path: Path, interrupted: Registry, stoppable: type[Stoppable]
    ) -> None:
        before = Run(tmp_path / "run").state["seconds"]
        run = train(ground_truth, out=tmp_path / "run", resume=True, epochs=1, seed=4, registry=interrupted)
        assert stoppable.trained == [1, 2, 3]
        job = stoppable.jobs[-1]
        assert (job.resume, job.epochs, job.seed, dict(job.settings)) == (True, 9, 3, {"rate": 0.125})
        assert job.val is not None
        assert [line["epoch"] for line in run.metrics()] == [1, 2, 3]
        assert (Run(run.path).status, Run(run.path).state["error"]) == ("done", None)
        assert run.state["seconds"] >= before

    def test_it_requires_the_python_objects_it_began_with(
        self, ground_truth: str, tmp_path: Path, interrupted: Registry, stoppable: type[Stoppable]
    ) -> None:
        with pytest.raises(UsageError, match=r"trained with objects=\[\], not \['callbacks'\]"):
            train(ground_truth, out=tmp_path / "run", resume=True, objects={"callbacks": []}, registry=interrupted)
        assert stoppable.trained == [1]

    def test_a_model_replaces_the_preset(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], stoppable: type[Stoppable]
    ) -> None:
        arguments: dict[str, Any] = {"backend": "stoppable", "model": object(), "registry": make_registry(STOPPABLE)}
        with pytest.raises(UsageError, match="a model was passed, and the preset 'plain'"):
            train(ground_truth, out=tmp_path / "model", preset="plain", **arguments)
        assert train(ground_truth, out=tmp_path / "model", **arguments).config["preset"] == ""

    def test_other_data_is_refused(
        self, other_ground_truth: str, tmp_path: Path, interrupted: Registry, stoppable: type[Stoppable]
    ) -> None:
        with pytest.raises(RunError, match="is not the data that .*run was trained on") as caught:
            train(other_ground_truth, out=tmp_path / "run", resume=True, registry=interrupted)
        assert "--data" in caught.value.remedy
        assert Run(tmp_path / "run").status == "interrupted"
        assert stoppable.trained == [1]

    def test_the_same_data_at_another_location_is_accepted(
        self, ground_truth: str, tmp_path: Path, interrupted: Registry
    ) -> None:
        copy = tmp_path / "copy.jsonl"
        copy.write_bytes(Path(ground_truth.removeprefix("lines:")).read_bytes())
        assert train(f"lines:{copy}", out=tmp_path / "run", resume=True, registry=interrupted).status == "done"

    def test_a_done_run_is_left_alone(self, ground_truth: str, tmp_path: Path, plugins: Registry, reports: Any) -> None:
        train(ground_truth, out=tmp_path / "run", registry=plugins)
        before = (tmp_path / "run" / "run.json").read_bytes()
        run = train("lines:nowhere", out=tmp_path / "run", resume=True, reporter=reports, registry=plugins)
        assert run.status == "done"
        assert (tmp_path / "run" / "run.json").read_bytes() == before
        assert "done already" in reports.messages[0]

    def test_nothing_to_resume(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        with pytest.raises(RunError, match="does not exist"):
            train(ground_truth, out=tmp_path / "run", resume=True, registry=plugins)

    def test_held_out_samples_in_memory_must_be_passed_again(
        self,
        ground_truth: str,
        tmp_path: Path,
        make_registry: Callable[..., Registry],
        stoppable: type[Stoppable],
        dataset: Callable[..., Dataset],
        sample: Callable[..., Sample],
    ) -> None:
        plugins, held_out = make_registry(STOPPABLE), dataset(sample("v.jpg", ("fig", 1, 2, 3, 4)))
        stoppable.stop, stoppable.stop_after = KeyboardInterrupt(), 1
        with pytest.raises(KeyboardInterrupt):
            train(ground_truth, out=tmp_path / "run", val=held_out, backend="stoppable", registry=plugins)
        stoppable.stop = None
        with pytest.raises(UsageError, match="held-out samples"):
            train(ground_truth, out=tmp_path / "run", resume=True, registry=plugins)
        run = train(ground_truth, out=tmp_path / "run", val=held_out, resume=True, registry=plugins)
        assert run.status == "done"


class TestMeasuredAtTheEnd:
    @pytest.fixture
    def coco(self, toys: types.ModuleType) -> MetricSpec:
        class Share:
            def __call__(self, pairs: Any, label_map: LabelMap) -> MetricResult:
                share = sum(bool(found.boxes) for _, found in pairs) / 4
                return MetricResult({"AP": share, "AP50": share / 2}, main="AP")

        toys.Share = Share  # type: ignore[attr-defined]
        return MetricSpec(name="coco", load="toys:Share")

    def test_on_the_held_out_data(
        self,
        ground_truth: str,
        tmp_path: Path,
        make_registry: Callable[..., Registry],
        coco: MetricSpec,
        reports: Any,
    ) -> None:
        plugins = make_registry(coco)
        run = train(ground_truth, out=tmp_path / "run", val=ground_truth, reporter=reports, registry=plugins)
        (path,) = run.file("evaluation").iterdir()
        assert json.loads(path.read_text("utf-8"))["values"] == {"AP": 0.5, "AP50": 0.25}
        assert reports.messages[-1] == "On 2 held-out images: AP50 0.250, AP 0.500."
        assert reports.warnings == []

    def test_nothing_is_measured_without_held_out_data(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry], coco: MetricSpec
    ) -> None:
        run = train(ground_truth, out=tmp_path / "run", registry=make_registry(coco))
        assert not run.file("evaluation").exists()

    def test_a_failing_measurement_does_not_fail_the_training(
        self,
        ground_truth: str,
        tmp_path: Path,
        make_registry: Callable[..., Registry],
        reports: Any,
    ) -> None:
        plugins = make_registry(MetricSpec(name="coco", load="toys:Share", requires=("no_such_library",)))
        run = train(ground_truth, out=tmp_path / "run", val=ground_truth, reporter=reports, registry=plugins)
        assert Run(run.path).status == "done"
        assert "could not be evaluated" in reports.warnings[0]
        assert "no_such_library" in reports.warnings[0]
