"""Fixtures: a cluster of two nodes on this machine."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports tests without it

from ray_clusters import NODE, add_node

HERE = Path(__file__).parent
PROBE = """
from boxwright import BackendSpec, Boxes, Detections, LabelMap, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_backends():
    return [BackendSpec(name="corner", load="ray_probe:Corner", presets={"plain": "the only one"})]


class Corner:
    def fit(self, job):
        job.run.file("model.txt").write_text("corner")

    def load(self, run):
        run.file("model.txt").read_text()
        return CornerModel(run.label_map)


class CornerModel:
    def __init__(self, label_map):
        self.label_map = label_map

    def predict(self, samples, batch_size=8):
        for sample in samples:
            sample.image.read()
            name = sample.image.name
            label = self.label_map.names[sum(name.encode()) % len(self.label_map)]
            box = (0, 0, sample.image.width / 2, sample.image.height / 3)
            yield Detections(image=sample.image, boxes=Boxes([label], [box], [{"score": 0.5 + len(name) / 100}]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all machines import from, with two backends."""
    site = tmp_path_factory.mktemp("site")
    (site / "ray_probe.py").write_text(PROBE, "utf-8")
    (site / "ray_probe-1.0.dist-info").mkdir()
    (site / "ray_probe-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: ray-probe\nVersion: 1.0\n")
    (site / "ray_probe-1.0.dist-info/entry_points.txt").write_text(
        "[boxwright]\nray_probe = ray_probe\nray_small = ray_small\n"
    )
    for name in ("ray_works.py", "ray_small.py", "ray_small_backend.py"):
        shutil.copy(HERE / name, site)
    return site


@pytest.fixture(scope="module")
def cluster(site: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A head and other nodes, with so many cores as ``CORES`` of the module says: by default two of one core."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # the paths of its sockets must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv("RAY_worker_niceness", "0")  # else other work on a busy machine would stop that of the cluster
        patch.syspath_prepend(str(site))
        cluster = Cluster()
        head, *others = getattr(request.module, "CORES", (1, 1))
        for node in ({"num_cpus": head, "temp_dir": folder}, *({"num_cpus": cores} for cores in others)):
            add_node(cluster, NODE | node)
        patch.setenv("RAY_ADDRESS", cluster.address)  # of the conformance tests
        yield cluster
        cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
