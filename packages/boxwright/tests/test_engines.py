"""Engines: the same result as one process, with the errors of the data, and errors of the machines that are named."""

from __future__ import annotations

import os
import pickle
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import (
    DataError,
    Dataset,
    DatasetInfo,
    EngineError,
    EngineSpec,
    FormatSpec,
    ImageRef,
    LabelMap,
    LogReporter,
    Option,
    Sample,
    UsageError,
)
from boxwright.analysis import Statistics
from boxwright.datasets import Errand, SampleReader, Scan, in_parts, opened_engine
from boxwright.plugins.registry import Registry
from boxwright.schemas import Boxes


class Elsewhere:
    """Does each piece with a copy of the work that went through pickle, as another process would."""

    def __init__(self, twice: bool = False) -> None:
        self.twice = twice
        self.pieces: list[tuple[int, int]] = []
        self.closed = False

    def results(self, work: Any, pieces: Iterable[tuple[int, int]]) -> Iterator[Any]:
        for piece in pieces:
            self.pieces.append(piece)
            for _ in range(1 + self.twice):  # a piece that was lost is done again
                result = pickle.dumps(pickle.loads(pickle.dumps(work))(*piece))
            yield pickle.loads(result)

    def close(self) -> None:
        self.closed = True


class Images:
    """``LOCATION`` is the number of images; those after a comma are broken, those after ; have the name of image 0."""

    def __init__(self, location: str) -> None:
        count, _, rest = Path(location).name.partition(",")
        broken, _, doubles = rest.partition(";")
        self.parts = int(count)
        self.broken, self.doubles = broken.split("+"), doubles.split("+")
        self.info = DatasetInfo(format="images", location=location, num_samples=self.parts)

    def read(self, on_problem: Any) -> Iterator[Sample]:
        seen = set()
        for sample in self.read_part(0, self.parts, on_problem):
            if sample.image.name in seen:
                on_problem(DataError(sample.source, "it comes twice", "remove one"))
                continue
            seen.add(sample.image.name)
            yield sample

    def read_part(self, start: int, stop: int, on_problem: Any) -> Iterator[Sample]:
        for number in range(start, stop):
            if str(number) in self.broken:
                on_problem(DataError(f"{number}.xml", "it is broken", "fix it", "line 3"))
                continue
            name = "0.jpg" if str(number) in self.doubles else f"{number}.jpg"
            boxes = Boxes([f"class {number % 3}"], [(0, 0, 1 + number / 7, 5)])
            image = ImageRef(name=name, width=900 + number, height=9)
            yield Sample(image=image, boxes=boxes, source=f"{number}.xml")


class Shards(Images):
    """The same images, ten to a file."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.count = self.parts
        del self.parts
        self.shards = -(-self.count // 10)

    def read(self, on_problem: Any) -> Iterator[Sample]:
        self.parts = self.count
        yield from super().read(on_problem)
        del self.parts

    def read_shard(self, number: int, on_problem: Any) -> Iterator[Sample]:
        return self.read_part(10 * number, min(10 * number + 10, self.count), on_problem)


class Lines:
    """One line per image."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        self.file = output.open()
        self.label_map = label_map

    def __getstate__(self) -> dict[str, Any]:
        return {"label_map": self.label_map}

    def prepare(self, sample: Sample) -> str:
        if sample.image.name == "13.jpg":
            raise DataError(sample.source, "bad luck", "leave it out")
        assert self.label_map is not None
        return f"{sample.image.name} {self.label_map.id(sample.boxes.labels[0])}\n"

    def put(self, prepared: str) -> None:
        self.file.write(prepared.encode())

    def write(self, sample: Sample) -> None:
        self.put(self.prepare(sample))

    def close(self) -> None:
        self.file.close()


@pytest.fixture
def plugins(
    make_registry: Callable[..., Registry], toys: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    for each in (Images, Shards, Lines, Elsewhere):
        monkeypatch.setattr(toys, each.__name__, each, raising=False)
    return make_registry(
        FormatSpec(name="images", load="toys:Images"),
        FormatSpec(name="shards", load="toys:Shards"),
        FormatSpec(name="lines", write="toys:Lines", numbered=True),
        EngineSpec(name="elsewhere", load="toys:Elsewhere", options=(Option("twice", bool),)),
    )


class Warned(LogReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.mark.parametrize("source", ["images:1300,7+900", "shards:1300,7+900", "images:1300,13;1299", "images:700,;600"])
def test_a_conversion_is_that_of_one_process(source: str, plugins: Registry, tmp_path: Path) -> None:
    reports = []
    for way in (None, Elsewhere(), Elsewhere(twice=True)):
        report = boxwright.convert(
            source, f"lines:{tmp_path / 'x'}", on_error="skip", overwrite=True, engine=way, workers=1, registry=plugins
        )
        found = report.to_dict() | {"seconds": 0}
        reports.append((found, (tmp_path / "x").read_bytes(), [str(each) for each in report.skipped]))
        if isinstance(way, Elsewhere):
            assert len(way.pieces) >= 2
            assert not way.closed  # that is the business of its owner
    assert reports[0] == reports[1] == reports[2]
    assert len(reports[0][2]) >= 2


def test_an_error_of_the_data_is_raised_unchanged(plugins: Registry, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        boxwright.convert("images:1300,900", f"lines:{tmp_path / 'x'}", engine=Elsewhere(), registry=plugins)
    error = caught.value
    assert (error.file, error.place, error.problem, error.remedy) == ("900.xml", "line 3", "it is broken", "fix it")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_is_found_by_its_name_and_closed(plugins: Registry) -> None:
    with opened_engine("elsewhere:twice=true", plugins) as engine:
        assert isinstance(engine, Elsewhere)
        assert engine.twice
        assert not engine.closed
    assert engine.closed
    with opened_engine("", plugins) as engine:
        assert engine is None
    with pytest.raises(UsageError, match="no option 'adress'"), opened_engine("elsewhere:adress=1", plugins):
        pass


def names(dataset: Dataset) -> Iterator[str]:
    return (sample.image.name for sample in dataset)


@pytest.mark.parametrize("source", ["images:50,7;44", "shards:50,7;44", "shards:50,7;9", "images:50,;1"])
def test_work_in_parts_is_that_of_the_whole(source: str, plugins: Registry) -> None:
    results = []
    for engine in (None, Elsewhere()):
        dataset = boxwright.open(source, on_error="skip", registry=plugins)
        found = list(in_parts(dataset, names, engine, LogReporter(), items=10))
        results.append((found, [str(each) for each in dataset.problems.skipped]))
    assert results[0] == results[1]
    assert len(results[0][0]) == 50 - len(results[0][1])


def test_counts_do_not_depend_on_the_parts(plugins: Registry) -> None:
    """The sum of 30,000 numbers depends on their order and grouping, unless they are added one by one."""
    scans, histograms = [], []
    for engine, items in ((None, 1), (Elsewhere(), 7), (Elsewhere(), 512)):
        dataset = boxwright.open("images:9000", registry=plugins)
        statistics = Statistics()

        def counted(columns: Iterable[Any], into: Statistics = statistics) -> Iterator[Any]:
            for each in columns:
                into.add(each)
                yield each

        columns = in_parts(dataset, Dataset.columns, engine, LogReporter(), items=items)
        scans.append(vars(Scan.of_columns(counted(columns))))
        histograms.append(statistics.to_dict())
    assert scans[0] == scans[1] == scans[2]
    assert histograms[0] == histograms[1] == histograms[2]


def test_work_that_cannot_be_split_is_done_here_with_a_warning(plugins: Registry, tmp_path: Path) -> None:
    samples = boxwright.open("images:20", registry=plugins)
    merged = boxwright.open([samples, samples], registry=plugins)
    for data, steps, reason in (
        (merged, (), "is read in order, from the first image to the last"),
        (samples, [_InOrder()], "steps see the images in order"),
        (samples, [_Counting()], "steps see the images in order"),
    ):
        reporter, engine = Warned(), Elsewhere()
        options: dict[str, Any] = {"steps": steps, "on_error": "skip", "overwrite": True, "registry": plugins}
        report = boxwright.convert(data, f"lines:{tmp_path / 'x'}", engine=engine, reporter=reporter, **options)
        assert sum(report.samples.values()) >= 19
        assert not engine.pieces
        assert [reason in each for each in reporter.warnings] == [True] * len(reporter.warnings) != []


class _InOrder:
    per_sample = False

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        return (sample for sample in samples if sample.image.name != "13.jpg")


class _Counting(_InOrder):
    """Its copies could not say what they did."""

    per_sample = True

    def notes(self) -> list[str]:
        return ["left out 13"]


class Copies:
    """Leaves out some images, fails at some, and adds a copy of the others."""

    per_sample = True
    keeps_labels = True

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            name = sample.image.name
            self.names.add(name)
            if name.startswith("5"):
                raise DataError(sample.source, "it cannot be copied", "leave it out")
            if name != "0.jpg":
                copied = sample.image.model_copy(update={"name": f"copy-{name}"})
                yield from (sample, sample.replace(image=copied))

    def notes(self) -> list[str]:
        return [f"{len(self.names)} images seen"]

    def taken(self) -> set[str]:
        taken, self.names = self.names, set()
        return taken

    def add(self, noted: set[str]) -> None:
        self.names |= noted


class Wider:
    """Has nothing to say."""

    per_sample = True
    keeps_labels = True

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        return (sample for sample in samples if sample.image.width % 7)


@pytest.mark.parametrize("source", ["images:1300,7+900", "shards:1300,7+900", "images:1300,13;1299", "images:700,;600"])
def test_steps_for_each_image_are_shared(source: str, plugins: Registry, tmp_path: Path) -> None:
    results = []
    for engine in (None, Elsewhere(), Elsewhere(twice=True)):
        reporter = Warned()
        report = boxwright.convert(
            source,
            f"lines:{tmp_path / 'x'}",
            steps=[Copies(), Wider()],
            on_error="skip",
            overwrite=True,
            engine=engine,
            workers=1,
            reporter=reporter,
            registry=plugins,
        )
        found = report.to_dict() | {"seconds": 0}
        results.append((found, (tmp_path / "x").read_bytes(), [str(each) for each in report.skipped]))
        assert reporter.warnings == []
        assert engine is None or len(engine.pieces) >= 2
    assert results[0] == results[1] == results[2]
    first, content, skipped = results[0]
    assert b"copy-12.jpg" in content
    assert any("images seen" in note for note in first["notes"])
    assert any("it cannot be copied" in each for each in skipped)


def double(start: int, stop: int) -> list[int]:
    return [2 * number for number in range(start, stop)]


def working_folder(start: int, stop: int) -> tuple[str, str | None]:
    return os.getcwd(), os.environ.get("BOXWRIGHT_TEST")


class TestErrand:
    def test_a_file_that_a_machine_does_not_have_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").touch()
        errand = Errand.of(double, [str(tmp_path / "a.json"), "s3://bucket/x", str(tmp_path / "was never here")])
        assert errand.places == (str(tmp_path / "a.json"),)
        (tmp_path / "a.json").unlink()
        with pytest.raises(EngineError, match=r"does not have .*a\.json") as caught:
            Errand.value(errand(0, 2))
        assert "storage that all of them share" in caught.value.remedy

    def test_another_version_is_named(self) -> None:
        errand = replace(Errand.of(double), version="0.0.1", digest=b"new")
        with pytest.raises(EngineError, match=rf"has boxwright {boxwright.__version__}, not 0\.0\.1") as caught:
            Errand.value(errand(0, 2))
        assert "on every machine" in caught.value.remedy

    def test_a_module_that_is_missing_is_named(self) -> None:
        content = pickle.dumps(double).replace(b"double", b"dooble")
        with pytest.raises(EngineError, match="cannot load the work.*dooble"):
            Errand.value(replace(Errand.of(double), content=content, digest=b"newer")(0, 2))

    def test_work_that_cannot_be_pickled_is_a_usage_error(self) -> None:
        with pytest.raises(UsageError, match="cannot be sent to other machines"):
            Errand.of(lambda start, stop: start)

    def test_the_working_folder_and_the_settings_go_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BOXWRIGHT_TEST", "here")
        errand = Errand.of(working_folder)
        monkeypatch.chdir("/")
        monkeypatch.setenv("BOXWRIGHT_TEST", "elsewhere")
        assert Errand.value(errand(0, 1)) == (str(tmp_path), "here")


def test_a_loaded_model_cannot_be_sent(tmp_path: Path) -> None:
    data = Dataset(SampleReader([]))
    model: Any = object()
    for call in (boxwright.predict, boxwright.evaluate):
        with pytest.raises(UsageError, match="a loaded model cannot be sent to other machines"):
            call(model, data, engine=Elsewhere())
