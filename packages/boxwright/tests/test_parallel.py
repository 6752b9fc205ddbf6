"""Work shared between processes: in order, with its errors, and without leftover processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import BoxwrightError, DataError, DatasetInfo, FormatSpec, ImageRef, LabelMap, Sample
from boxwright.datasets import parallel
from boxwright.datasets.parallel import CHUNK, WORTH_IT, WORTH_STARTING, process_count, shared
from boxwright.errors import WorkerDiedError
from boxwright.plugins.registry import Registry
from boxwright.schemas import Boxes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes in /proc")


@pytest.fixture(autouse=True)
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allows forks: threads that other tests left running have no lock that these forks need."""
    monkeypatch.setattr(parallel, "can_fork", lambda: True)


def _all_children() -> list[str]:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()


@pytest.fixture
def children() -> Callable[[], list[str]]:
    """Returns the processes that this process started during the test: those of other tests are not counted."""
    earlier = set(_all_children())
    return lambda: [each for each in _all_children() if each not in earlier]


def test_chunks_keep_their_order_and_are_from_other_processes(children: Callable[[], list[str]]) -> None:
    count = 5 * CHUNK + 7
    answers = list(shared(lambda start, stop: (os.getpid(), start, stop), count, 3))
    assert [answer[1:] for answer in answers] == [
        (start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)
    ]
    assert os.getpid() not in {answer[0] for answer in answers}
    assert children() == []


def test_there_are_no_more_processes_than_chunks() -> None:
    assert [*shared(lambda start, stop: (start, stop), 3, 8)] == [(0, 3)]
    assert [*shared(lambda start, stop: (start, stop), 0, 8)] == []


def test_results_are_objects() -> None:
    (answer,) = shared(lambda start, stop: LabelMap.from_names(["fig"]), 1, 1)
    assert answer == LabelMap.from_names(["fig"])


def test_an_error_is_raised_when_its_turn_comes(children: Callable[[], list[str]]) -> None:
    def work(start: int, stop: int) -> int:
        if start == CHUNK:
            raise DataError("b.xml", "it is broken", "fix it", "line 3")
        return start

    answers = shared(work, 4 * CHUNK, 2)
    assert next(answers) == 0
    with pytest.raises(DataError, match=r"b\.xml, line 3: it is broken") as raised:
        next(answers)
    assert (raised.value.problem, raised.value.remedy) == ("it is broken", "fix it")
    assert children() == []


def test_an_error_that_cannot_be_pickled_is_described() -> None:
    class OfAClosureError(Exception):
        pass

    def work(start: int, stop: int) -> None:
        raise OfAClosureError("from inside")

    with pytest.raises(BoxwrightError, match="OfAClosureError: from inside"):
        list(shared(work, 1, 1))


def test_a_killed_process_is_reported(children: Callable[[], list[str]]) -> None:
    def work(start: int, stop: int) -> int:
        if start:
            os.kill(os.getpid(), signal.SIGKILL)
        return start

    answers = shared(work, 2 * CHUNK, 1)
    assert next(answers) == 0
    with pytest.raises(WorkerDiedError, match="ended before it was done; it was killed") as raised:
        next(answers)
    assert "--workers 1" in raised.value.remedy
    assert children() == []


def test_stopping_early_leaves_no_process(children: Callable[[], list[str]]) -> None:
    answers = shared(lambda start, stop: b"x" * 5_000_000, 40 * CHUNK, 2)
    next(answers)
    assert len(children()) == 2
    answers.close()
    assert children() == []


def test_a_killed_parent_ends_its_processes(tmp_path: Path) -> None:
    script = (
        "import os, time\n"
        "from boxwright.datasets.parallel import CHUNK, shared\n"
        "answers = shared(lambda start, stop: (os.getpid(), b'x' * 3_000_000), 400 * CHUNK, 2)\n"
        "print(next(answers)[0], next(answers)[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = parent.stdout.readline().split()
        assert len(pids) == 2
        parent.kill()
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in pids)


def _runs(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_new_interpreters_are_started_if_processes_cannot_be_forked(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from boxwright.datasets import parallel\n"
        "def work(start, stop):\n"
        "    return os.getpid(), start, stop\n"
        "if __name__ == '__main__':\n"
        "    parallel.can_fork = lambda: False\n"
        "    answers = [*parallel.shared(work, 3 * parallel.CHUNK - 5, 2)]\n"
        "    print(os.getpid() in {answer[0] for answer in answers}, [answer[1:] for answer in answers])\n"
        "    try:\n"
        "        list(parallel.shared(int, 99, 1))\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    chunks = [(0, CHUNK), (CHUNK, 2 * CHUNK), (2 * CHUNK, 3 * CHUNK - 5)]
    assert done.stdout.splitlines() == [f"False {chunks}", "int() base must be >= 2 and <= 36, or 0"]


def test_work_that_cannot_be_pickled_is_done_here_if_processes_cannot_be_forked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "can_fork", lambda: False)
    assert [*shared(lambda start, stop: os.getpid(), 2 * CHUNK, 2)] == [os.getpid()] * 2


def test_small_datasets_and_scripts_use_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = parallel.available_cores()
    assert [process_count(items, 0) for items in (WORTH_IT - 1, WORTH_IT)] == [1, cores]
    assert [process_count(WORTH_IT, workers) for workers in (1, 3)] == [1, 3]
    monkeypatch.setattr(parallel, "can_fork", lambda: False)
    assert [process_count(items, 3) for items in (WORTH_STARTING - 1, WORTH_STARTING)] == [1, 3]
    assert process_count(WORTH_STARTING, 0) == 1


def test_other_threads_and_tensorflow_forbid_it() -> None:
    """In a separate process, because other tests leave threads running."""
    script = (
        "import sys, threading\n"
        "from boxwright.datasets.parallel import can_fork\n"
        "done = threading.Event()\n"
        "answers = [can_fork()]\n"
        "thread = threading.Thread(target=done.wait)\n"
        "thread.start()\n"
        "answers.append(can_fork())\n"
        "done.set()\n"
        "thread.join()\n"
        "answers.append(can_fork())\n"
        "sys.modules['tensorflow'] = sys\n"
        "print(answers, can_fork())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[True, False, True] False\n"


class ManyReader:
    """``LOCATION`` is the number of images; the numbers after a comma are broken, those after ; are named as
    image 0."""

    def __init__(self, location: str) -> None:
        count, _, rest = Path(location).name.partition(",")
        broken, _, doubles = rest.partition(";")
        self.parts = int(count)
        self.broken, self.doubles = broken.split("+"), doubles.split("+")
        self.info = DatasetInfo(format="many", location=location, num_samples=self.parts)
        self.pids: list[int] = []

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
                on_problem(DataError(f"{number}.xml", "it is broken", "fix it"))
                continue
            name = "0.jpg" if str(number) in self.doubles else f"{number}.jpg"
            attributes = [{"difficult": 1}] if number % 2 else None
            boxes = Boxes([f"class {number % 3}"], [(0, 0, 1, 1)], attributes)
            image = ImageRef(name=name, width=9, height=9)
            yield Sample(image=image, boxes=boxes, source=f"{number}.xml", attributes={"folder": "f"})

    def labels_part(self, start: int, stop: int) -> Iterator[Sequence[str]]:
        for sample in self.read_part(start, stop, print):
            yield sample.boxes.labels


class PidWriter:
    """One line per image, with the process that prepared it."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        self.file = output.open()
        self.label_map = label_map

    def prepare(self, sample: Sample) -> tuple[str, int]:
        if sample.image.name == "13.jpg":
            raise DataError(sample.source, "bad luck", "leave it out")
        assert self.label_map is not None
        return f"{sample.image.name} {self.label_map.id(sample.boxes.labels[0])}", os.getpid()

    def put(self, prepared: tuple[str, int]) -> None:
        self.file.write(f"{prepared[0]} {prepared[1]}\n".encode())

    def write(self, sample: Sample) -> None:
        self.put(self.prepare(sample))

    def close(self) -> None:
        self.file.close()


@pytest.fixture
def many(make_registry: Callable[..., Registry], toys: types.ModuleType) -> Registry:
    toys.ManyReader, toys.PidWriter = ManyReader, PidWriter  # type: ignore[attr-defined]
    return make_registry(
        FormatSpec(name="many", load="toys:ManyReader"), FormatSpec(name="pids", write="toys:PidWriter", numbered=True)
    )


def converted(plugins: Registry, source: str, path: Path, **options: Any) -> tuple[Any, list[str], set[int]]:
    report = boxwright.convert(f"many:{source}", f"pids:{path}", registry=plugins, **options)
    rows = [line.rsplit(" ", 1) for line in path.read_text().splitlines()]
    return report, [row[0] for row in rows], {int(row[1]) for row in rows}


SOME = WORTH_IT + 100


def test_a_shared_conversion_is_the_same_as_one_alone(many: Registry, tmp_path: Path) -> None:
    source = f"{SOME},7+900"
    alone, rows, (pid,) = converted(many, source, tmp_path / "alone", on_error="skip", workers=1)
    assert pid == os.getpid()
    together, other_rows, pids = converted(many, source, tmp_path / "shared", on_error="skip", workers=2)
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids
    assert rows == other_rows
    assert rows[:2] == ["0.jpg 1", "1.jpg 2"]
    one, two = alone.to_dict(), together.to_dict()
    for report in (one, two):
        assert [each["file"] for each in report["skipped"]] == ["7.xml", "900.xml", "13.xml"]
        del report["seconds"], report["targets"], report["samples"]
    assert one == two
    assert one["boxes"] == SOME - 3
    assert one["dropped"] == {"difficult": SOME // 2 - 2}
    assert one["dropped_bookkeeping"] == {"image folder": SOME - 3}


def test_an_error_leaves_no_target(many: Registry, tmp_path: Path, children: Callable[[], list[str]]) -> None:
    with pytest.raises(DataError, match=r"7\.xml"):
        converted(many, f"{SOME},7", tmp_path / "x", workers=2)
    assert list(tmp_path.iterdir()) == []
    assert children() == []


def test_duplicate_names_are_found_across_processes(many: Registry, tmp_path: Path) -> None:
    source = f"{SOME},13;{SOME - 5}"
    with pytest.raises(DataError, match=r"9\.xml: it comes twice"):
        converted(many, f"{SOME},;9", tmp_path / "x", workers=2)
    report, rows, _ = converted(many, source, tmp_path / "x", workers=2, on_error="skip")
    assert len(rows) == SOME - 2
    assert sorted(each.file for each in report.skipped) == ["13.xml", f"{SOME - 5}.xml"]


def test_a_small_dataset_uses_no_other_process(many: Registry, tmp_path: Path) -> None:
    assert converted(many, "12", tmp_path / "x")[2] == {os.getpid()}
