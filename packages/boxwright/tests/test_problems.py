"""The limit of items that are left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import DataError, Dataset, DatasetInfo, Sample, UsageError
from boxwright.datasets import Problems
from boxwright.plugins.registry import Registry
from boxwright.progress import LogReporter


def error(number: int) -> DataError:
    return DataError(f"{number}.jpg", "the image is damaged", "replace the file")


@pytest.mark.parametrize(
    ("limit", "total", "allowed"),
    [("1%", 1000, 10), ("1%", 99, 0), ("0.5%", 1000, 5), ("100%", 3, 3), ("3", None, 3), ("3", 1000, 3), ("0%", 9, 0)],
)
def test_a_share_is_rounded_down(limit: str, total: int | None, allowed: int) -> None:
    problems = Problems(limit)
    problems.total = total
    for number in range(allowed):
        problems(error(number))
        problems(error(number))  # the same image, in the next epoch
    with pytest.raises(DataError) as caught:
        problems(error(allowed))
    if allowed:
        assert caught.value.file == "0.jpg"
        assert f"(and {allowed} more that cannot be read); at most {limit}" in caught.value.problem
        assert caught.value.remedy == "replace the file, or allow more: --max-bad N or P%"


def test_a_share_of_an_unknown_number_is_compared_at_the_end() -> None:
    problems = Problems("1%")
    problems(error(1))
    problems.finish(199)
    problems(error(2))
    with pytest.raises(
        DataError, match=r"1\.jpg: the image is damaged \(and 2 more .* at most 1% of 200 may be left out"
    ):
        problems(error(3))
    problems = Problems("1%")
    problems(error(1))
    with pytest.raises(DataError, match=r"^1\.jpg: the image is damaged\n.*replace the file$"):
        problems.finish(49)


def test_the_old_words_stay() -> None:
    with pytest.raises(DataError):
        Problems("fail")(error(1))
    skip = Problems("skip")
    for number in range(100):
        skip(error(number))
    skip.finish(0)
    assert skip.describe().startswith("100 items were left out: 0.jpg: the image is damaged; 1.jpg")
    assert skip.describe().endswith("; and 90 more")
    assert not Problems().describe()


@pytest.mark.parametrize("text", ["", "some", "-1", "101%", "1 %", "1e3", "nan", "%"])
def test_a_limit_is_a_number_or_a_share(text: str) -> None:
    with pytest.raises(UsageError, match="on_error is"):
        Problems(text)


class Damaged:
    """A reader of a dataset of which the first few items cannot be read."""

    def __init__(self, samples: list[Sample], damaged: int, known: bool) -> None:
        self.samples, self.damaged = samples, damaged
        number = len(samples) + damaged if known else None
        self.info = DatasetInfo(format="damaged", location="x", num_samples=number)

    def read(self, on_problem: Callable[[DataError], None]) -> Any:
        for number in range(self.damaged):
            on_problem(error(number))
        yield from self.samples


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_conversion_stops_at_the_limit(
    sample: Callable[..., Sample], known: bool, damaged: int, tmp_path: Path, plugins: Registry
) -> None:
    samples = [sample(f"{number}.jpg", ("fig", 1, 2, 3, 4)) for number in range(150)]
    dataset = Dataset(Damaged(samples, damaged, known), problems=Problems("1%"))
    dataset.problems.total = dataset.info.num_samples
    if damaged < 2:
        report = boxwright.convert(dataset, f"lines:{tmp_path}/o.txt", registry=plugins)
        assert (sum(report.samples.values()), len(report.skipped)) == (150, damaged)
    else:
        with pytest.raises(DataError, match=r"and 1 more that cannot be read\); at most 1% of 152"):
            boxwright.convert(dataset, f"lines:{tmp_path}/o.txt", registry=plugins)
        assert not list(tmp_path.iterdir())


@pytest.fixture
def many(tmp_path: Path) -> str:
    """A dataset of 199 images, and one line that is not an image."""
    line = '{{"name": "{}.jpg", "size": [10, 8], "boxes": [["fig", 1, 2, 3, 4]]}}\n'
    (tmp_path / "data.jsonl").write_text("".join(map(line.format, range(199))) + '{"name": "damaged.jpg"}\n')
    return f"lines:{tmp_path}/data.jsonl"


class Warnings:
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def task(self, description: str, total: int | None = None) -> Any:
        return LogReporter().task(description, total)

    def message(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        self.texts.append(text)


def test_a_training_goes_past_a_few_and_lists_them(many: str, tmp_path: Path, plugins: Registry) -> None:
    shown = Warnings()
    run = boxwright.train(many, out=tmp_path / "run", reporter=shown, registry=plugins)
    assert run.status == "done"
    assert run.config["on_error"] == "1%"
    (warning,) = (text for text in shown.texts if "left out" in text)
    assert "1 item was left out" in warning
    assert "data.jsonl" in warning
    for limit in ("0", "0.4%", "fail"):
        with pytest.raises(DataError, match="line 200: "):
            boxwright.train(many, out=tmp_path / "other", on_error=limit, registry=plugins)
    assert not (tmp_path / "other").exists()


def test_a_resumed_training_keeps_what_it_was_asked(many: str, tmp_path: Path, plugins: Registry) -> None:
    run = boxwright.train(many, out=tmp_path / "run", on_error="3", registry=plugins)
    state = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(state | {"status": "interrupted"}))
    with open(tmp_path / "data.jsonl", "a") as file:
        file.write('{"name": "2.jpg"}\n{"name": "3.jpg"}\n')
    assert boxwright.train(many, out=run.path, resume=True, registry=plugins).status == "done"
    (run.path / "run.json").write_text(json.dumps(state | {"status": "interrupted"}))
    with pytest.raises(DataError, match=r"\(and 2 more that cannot be read\); at most 1% of 202"):
        boxwright.train(many, out=run.path, resume=True, on_error="1%", registry=plugins)
