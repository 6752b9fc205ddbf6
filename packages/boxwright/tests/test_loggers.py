"""Loggers of a training: their choice, their events, and that they neither end a training nor keep secrets."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import (
    BackendSpec,
    Boxes,
    Dataset,
    Detections,
    LoggerSpec,
    MetricResult,
    MetricSpec,
    Option,
    Sample,
    UsageError,
    train,
)
from boxwright.datasets.dataset import SampleReader
from boxwright.label_map import LabelMap
from boxwright.models.curves import precision_recall
from boxwright.models.job import TrainJob
from boxwright.models.run import Run
from boxwright.plugins.hookspecs import hookimpl
from boxwright.plugins.registry import Registry
from boxwright.text import without_secrets

calls: list[tuple[Any, ...]] = []


class Diary:
    """Records its events, and fails in one of them."""

    def __init__(self, name: str = "diary", fail: str = "") -> None:
        self.name, self.fail = name, fail

    def note(self, event: str, *details: Any) -> None:
        calls.append((self.name, event, *details))
        if event == self.fail:
            raise OSError("cannot reach http://me:hidden@example.org/?token=hidden")

    @hookimpl
    def boxwright_run_started(self, run: Run, config: dict[str, Any]) -> None:
        self.note("started", config["log"])

    @hookimpl
    def boxwright_epoch_ended(self, epoch: int) -> None:
        self.note("epoch", epoch)

    @hookimpl
    def boxwright_predictions_drawn(self, epoch: int, images: dict[str, bytes]) -> None:
        self.note("drawn", epoch, list(images))

    @hookimpl
    def boxwright_run_measured(self, data: str) -> None:
        self.note("measured", data)

    @hookimpl
    def boxwright_run_ended(self, status: str) -> None:
        self.note("ended", status)


class Nothing:
    """A model that finds nothing."""

    label_map = LabelMap.from_names(["fig"])

    def predict(self, samples: Any, *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        yield from (Detections(image=each.image) for each in samples)


class Zero:
    """A metric that is always 0."""

    def __call__(self, pairs: Any, label_map: LabelMap) -> MetricResult:
        list(pairs)
        return MetricResult({"AP": 0.0, "AP50": 0.0}, main="AP")


class Epochs:
    def load(self, run: Run) -> Nothing:
        return Nothing()

    def fit(self, job: TrainJob) -> None:
        for epoch in range(1, 4):
            job.epoch_ended(epoch, {"loss": 1 / epoch})
        job.predictions_drawn(3, {"one": b"jpeg"})


@pytest.fixture
def registry(toys: types.ModuleType, make_registry: Callable[..., Registry]) -> Registry:
    calls.clear()
    toys.Diary, toys.Epochs = Diary, Epochs  # type: ignore[attr-defined]
    options = (Option("name"), Option("fail"))
    return make_registry(
        BackendSpec(name="epochs", load="toys:Epochs"),
        LoggerSpec(name="diary", load="toys:Diary", options=options, positional="name"),
        LoggerSpec(name="usual", load="toys:Diary", default=True),
        LoggerSpec(name="absent", load="toys:Diary", default=True, requires=("no_such_library",)),
    )


@pytest.fixture
def run(registry: Registry, ground_truth: str, tmp_path: Path, reports: Any) -> Callable[..., Run]:
    def start(**changes: Any) -> Run:
        arguments: dict[str, Any] = {"backend": "epochs", "out": tmp_path / "run", "reporter": reports}
        return train(ground_truth, registry=registry, **(arguments | changes))

    return start


def test_each_logger_receives_every_epoch(run: Callable[..., Run]) -> None:
    log = ["diary:first", "diary:name=second"]
    assert run(log=log).config["log"] == log
    events = [("started", log), ("epoch", 1), ("epoch", 2), ("epoch", 3), ("drawn", 3, ["one"]), ("ended", "done")]
    for name in ("first", "second"):
        assert [event for who, *event in calls if who == name] == [list(event) for event in events]


def test_the_default_is_what_is_installed(run: Callable[..., Run], tmp_path: Path) -> None:
    assert run().config["log"] == ["usual"]
    calls.clear()
    assert run(log=[], out=tmp_path / "silent").config["log"] == []
    assert calls == []


@pytest.mark.parametrize("event", ["started", "epoch", "drawn", "ended"])
def test_a_failing_logger_is_named_once_and_ends_no_training(
    run: Callable[..., Run], reports: Any, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    monkeypatch.delenv("BOXWRIGHT_STRICT", raising=False)
    done = run(log=[f"diary:bad,fail={event}", "diary:good"])
    assert (done.status, len(done.metrics())) == ("done", 3)
    assert reports.warnings == [
        f"the logger diary:bad,fail={event} failed, and logs nothing more of this training: OSError: cannot reach"
        " http://***@example.org/?token=***"
    ]
    assert [each[1] for each in calls if each[0] == "good"] == ["started", "epoch", "epoch", "epoch", "drawn", "ended"]
    bad = [each[1] for each in calls if each[0] == "bad"]
    assert bad.count(event) == 1
    assert bad[-1] == "ended", "it can still close what it has opened"


def test_another_training_has_other_loggers(run: Callable[..., Run], tmp_path: Path) -> None:
    run(log=["diary:first"])
    run(log=["diary:second"], out=tmp_path / "other")
    assert [who for who, event, *_ in calls if event == "started"] == ["first", "second"]


@pytest.mark.parametrize(
    ("log", "match"),
    [
        (["diary:colour=red"], "has no option 'colour'"),
        (["diary", "diary"], "appears twice"),
        (
            ["diary:name=https://me:hidden@example.org"],
            r"contain a login or a token: diary:name=https://\*\*\*@example",
        ),
        (["diary:name=http://example.org?api_key=hidden"], "contain a login or a token"),
    ],
)
def test_a_wrong_logger_is_refused_before_any_work(
    run: Callable[..., Run], tmp_path: Path, log: list[str], match: str
) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        run(log=log)
    assert "hidden" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_run_folder_keeps_no_login_of_the_data(
    toys: types.ModuleType,
    make_registry: Callable[..., Registry],
    registry: Registry,
    sample: Callable[..., Sample],
    tmp_path: Path,
) -> None:
    class Remote(SampleReader):
        pass

    toys.Zero = Zero  # type: ignore[attr-defined]
    registry = make_registry(
        BackendSpec(name="epochs", load="toys:Epochs"),
        LoggerSpec(name="diary", load="toys:Diary"),
        MetricSpec(name="coco", load="toys:Zero"),
    )
    data = Dataset(Remote([sample("a.jpg", ("fig", 0, 0, 50, 40))]), uri="lines:https://me:hidden@example.org/a.jsonl")
    val = Dataset(
        Remote([sample("b.jpg", ("fig", 0, 0, 50, 40))]), uri="lines:https://me:hidden@example.org/b.jsonl?token=hidden"
    )
    done = train(data, val=val, out=tmp_path / "run", backend="epochs", log=["diary"], registry=registry)
    assert [details for _, event, *details in calls if event == "measured"] == [
        ["lines:https://***@example.org/b.jsonl?token=***"]
    ]
    seen = [path.name for path in done.path.rglob("*") if path.is_file() and b"hidden" in path.read_bytes()]
    assert seen == []
    assert done.config["data"] == "lines:https://***@example.org/a.jsonl"
    with pytest.raises(Exception, match="does not keep the login"):
        done.uri("data")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:secret@bucket/a", "s3://***@bucket/a"),
        ("see https://token@github.com/a and ftp://u:p@h", "see https://***@github.com/a and ftp://***@h"),
        ("https://h/a?x=1&X-Amz-Signature=abc&y=2", "https://h/a?x=1&X-Amz-Signature=***&y=2"),
        ("https://account.blob/a?sv=1&sig=abc", "https://account.blob/a?sv=1&sig=***"),
        ("abfs://container@account.dfs.core.windows.net/a", "abfs://container@account.dfs.core.windows.net/a"),
        ("coco:train.json?images=photos", "coco:train.json?images=photos"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_logins_and_tokens_are_hidden(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert without_secrets(json.dumps([text])) == json.dumps([shown])


def test_precision_and_recall_worked_by_hand(sample: Callable[..., Sample]) -> None:
    image = sample("a.jpg", ("fig", 0, 0, 10, 10), ("fig", 50, 50, 60, 60), ("date", 0, 0, 10, 10))
    boxes = Boxes(
        ["fig", "fig", "fig"],
        [(0, 0, 10, 10), (20, 20, 30, 30), (50, 50, 60, 60)],
        [{"score": 0.9}, {"score": 0.8}, {"score": 0.7}],
    )
    pairs = [(image, Detections(image=image.image, boxes=boxes))]
    curves = precision_recall(pairs, LabelMap.from_names(["date", "fig", "nut"]))
    assert list(curves) == ["date", "fig"]
    np.testing.assert_allclose(curves["fig"].precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curves["fig"].recall, [1 / 2, 1 / 2, 1])
    assert (curves["fig"].objects, len(curves["date"].scores)) == (2, 0)
