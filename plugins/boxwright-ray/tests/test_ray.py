"""The engine ``ray`` on a cluster of two nodes on this machine."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray_clusters import NODE, add_node, content_of, program

import boxwright
from boxwright import DataError, EngineError, LogReporter, WorkerDiedError
from boxwright.datasets import Errand
from boxwright_ray.conformance import TestRay as TestRay, TestRayTrainer as TestRayTrainer
from boxwright_testing import drawn_samples

ray = pytest.importorskip("ray", reason='needs Ray: python -m pip install "boxwright-ray[ray]"')
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _there(cluster: Any) -> None:
    """Every test has the cluster."""


@contextmanager
def engine(cluster: Any, **options: Any) -> Iterator[Any]:
    from boxwright_ray.engine import RayEngine

    with closing(RayEngine(cluster.address, **options)) as made:
        yield made


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 images with XML."""
    folder = tmp_path_factory.mktemp("photos")
    boxwright.convert("demo:train?images=150&size=64x48&seed=2", f"labelimg:{folder}/all")
    return folder / "all"


COMMANDS = {
    "info": "info labelimg:{photos}",
    "validate": "validate labelimg:{photos}",
    "coco": "convert labelimg:{photos} coco:out/all.json",
    "shards": "convert labelimg:{photos} tfrecord:out/all.record@3",
    "steps": "convert labelimg:{photos} tfrecord:out/all.record@3 --with tile:40 --with augment:flip --with upright",
    "from-shards": "convert tfrecord:{shards}@3 coco:out/all.json",
    "predict": "predict {run} {photos} --out out --to coco --batch-size 4",
    "evaluate": "evaluate {run} --data labelimg:{photos} --batch-size 4",
    "evaluate-shards": "evaluate {run} --data tfrecord:{shards}@3",
}
RUNS = {"seconds"}
"""The fields of results that differ from run to run."""


@pytest.fixture(scope="module")
def places(photos: Path, tmp_path_factory: pytest.TempPathFactory, cluster: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("places")
    boxwright.convert(f"labelimg:{photos}", f"tfrecord:{folder}/all.record@3")
    trained = program(
        *f"train --data labelimg:{photos} --backend corner --epochs 1 --out run --log none".split(), cwd=folder
    )
    assert trained.returncode == 0, trained.stderr
    return {"photos": photos, "shards": folder / "all.record", "run": folder / "run"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_does_the_same_as_one_process(
    name: str, places: dict[str, Path], cluster: Any, tmp_path: Path
) -> None:
    results = []
    for way, more in {"alone": (), "ray": ("--engine", "ray", "--address", cluster.address)}.items():
        folder = tmp_path / way
        folder.mkdir()
        done = program(*COMMANDS[name].format_map(places).split(), *more, "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        results.append(({k: v for k, v in json.loads(done.stdout).items() if k not in RUNS}, content_of(folder)))
    assert results[0] == results[1]
    assert name in ("info", "validate", "evaluate", "evaluate-shards") or results[0][1]


class KillingReporter(LogReporter):
    """Kills a node of a cluster when the first results are there."""

    def __init__(self, cluster: Any, node: Any) -> None:
        self.cluster, self.node = cluster, node
        self.done = 0

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Any]:
        yield self

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        if self.node is not None:
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.node = None

    def update(self, **changes: Any) -> None:
        pass


def test_a_node_that_is_killed_in_the_middle_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    drawn = drawn_samples(tmp_path / "images", 12)
    samples = [
        sample.model_copy(update={"image": sample.image.model_copy(update={"name": f"{number}-{sample.image.name}"})})
        for number in range(1000)
        for sample in drawn
    ]
    data = boxwright.from_samples(samples)
    boxwright.convert(data, f"coco:{tmp_path / 'alone.json'}", workers=1)
    node = add_node(cluster, NODE)
    cluster.wait_for_nodes()
    reporter = KillingReporter(cluster, node)
    report = boxwright.convert(
        data, f"coco:{tmp_path / 'ray.json'}", engine=f"ray:address={cluster.address}", reporter=reporter
    )
    assert reporter.node is None
    assert report.samples == {f"coco:{tmp_path / 'ray.json'}": 12_000}
    assert reporter.done == 12_000
    assert (tmp_path / "ray.json").read_bytes() == (tmp_path / "alone.json").read_bytes()


def test_a_killed_worker_is_replaced(cluster: Any, tmp_path: Path) -> None:
    from ray_works import Dying

    pieces = [(number, number + 1) for number in range(12)]
    with engine(cluster) as made:
        found = [Errand.value(each) for each in made.results(Errand.of(Dying(tmp_path, times=2)), pieces)]
    assert found == pieces
    assert len(list(tmp_path.iterdir())) == 2


def test_a_piece_that_kills_every_worker_is_an_error(cluster: Any, tmp_path: Path) -> None:
    from ray_works import Dying

    pieces = [(number, number + 1) for number in range(12)]
    with engine(cluster, retries=1) as made, pytest.raises(WorkerDiedError, match="lost 2 times") as caught:
        list(made.results(Errand.of(Dying(tmp_path, times=99)), pieces))
    assert "ray:retries=" in caught.value.remedy
    assert len(list(tmp_path.iterdir())) == 2


def test_an_error_of_the_data_is_that_of_one_process(photos: Path, cluster: Any, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "all")
    broken = sorted((tmp_path / "all").glob("*.xml"))[70]
    broken.write_text("<annotation><object></annotation>", "utf-8")
    errors = []
    for way in (None, f"ray:address={cluster.address}"):
        with pytest.raises(DataError) as caught:
            boxwright.convert(f"labelimg:{tmp_path / 'all'}", f"coco:{tmp_path / 'x.json'}", engine=way)
        errors.append((caught.value.file, caught.value.place, caught.value.problem, caught.value.remedy))
    assert errors[0] == errors[1]
    assert errors[0][0] == str(broken)
    assert not (tmp_path / "x.json").exists()


def test_skipped_images_are_those_of_one_process(photos: Path, cluster: Any, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "all")
    for number in (3, 70, 149):
        sorted((tmp_path / "all").glob("*.xml"))[number].write_text("<annotation>", "utf-8")
    reports = [
        boxwright.validate(f"labelimg:{tmp_path / 'all'}", engine=way).to_dict() | {"seconds": 0}
        for way in (None, f"ray:address={cluster.address}")
    ]
    assert reports[0] == reports[1]
    assert reports[0]["checks"]["unreadable"]["count"] == 3


def test_a_machine_without_a_plugin_is_named(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("only_here")
    exec("def work(start, stop):\n    return start", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with engine(cluster) as made, pytest.raises(EngineError, match="cannot load the work.*only_here") as caught:
        Errand.value(next(made.results(Errand.of(module.work), [(0, 1)])))
    assert "on every machine" in caught.value.remedy


def test_no_cluster_at_an_address_is_an_error(tmp_path: Path) -> None:
    boxwright.convert("demo:train?images=1", f"labelimg:{tmp_path / 'one'}")
    with socket.socket() as taken:  # bound, so that nothing else listens there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = program("info", f"labelimg:{tmp_path / 'one'}", "--engine", "ray", "--address", address, cwd=tmp_path)
    assert done.returncode == 1
    assert f"there is no Ray cluster at {address}" in done.stderr
    assert "ray start --head" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_neither_an_output_nor_work(places: dict[str, Path], cluster: Any, tmp_path: Path) -> None:
    shutil.copytree(places["photos"], tmp_path / "many")
    first = next(iter((tmp_path / "many").glob("*.xml"))).read_text("utf-8")
    for number in range(20_000):
        (tmp_path / "many" / f"{number}.xml").write_text(first.replace("<filename>", f"<filename>{number}-"), "utf-8")
    command = ["convert", f"labelimg:{tmp_path / 'many'}", f"coco:{tmp_path / 'out' / 'x.json'}", "--engine", "ray"]
    process = subprocess.Popen(
        [sys.executable, "-m", "boxwright_cli", *command],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 100
    while not (tmp_path / "out").is_dir() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=100)
    assert process.returncode == 130, messages
    assert "no incomplete output remains" in messages
    assert not (tmp_path / "out").exists()
    with engine(cluster) as made:  # the cores are free again
        assert [Errand.value(each) for each in made.results(Errand.of(divmod), [(4, 2)])] == [(2, 0)]


def test_more_cores_than_a_machine_has_are_an_error(cluster: Any) -> None:
    with pytest.raises(EngineError, match="no machine of the Ray cluster has 64 cores"), engine(cluster, cpus=64):
        pass


def test_leaving_the_cluster_ends_its_threads(cluster: Any) -> None:
    before = threading.active_count()
    with engine(cluster) as made:
        list(made.results(Errand.of(divmod), [(4, 2)]))
    assert threading.active_count() <= before
    assert not ray.is_initialized()
