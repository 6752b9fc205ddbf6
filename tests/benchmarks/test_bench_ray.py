"""``validate`` of 5,000 images: in one process, and on a Ray cluster with one and with two workers.

The clusters are warm: their workers have loaded the libraries, as they have after the first seconds of long work. What
a command takes before, to start a cluster and to join it, is measured separately. The wall time of two workers says
something only if two cores are idle, so that the load of the machine is printed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import boxwright as bw

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")
pytest.importorskip("ray", reason='needs Ray: python -m pip install "boxwright-ray[ray]"')

IMAGES = 5_000
ROUNDS = 3


def test_one_and_two_workers(benchmark: Any, photos: Callable[[int], Path], report: Callable[[str], None]) -> None:
    from ray.cluster_utils import Cluster

    from boxwright_ray.engine import RayEngine

    data = f"labelimg:{photos(IMAGES)}"

    def taken(**options: Any) -> tuple[float, dict[str, Any]]:
        times, found = [], {}
        for _ in range(ROUNDS):
            started = time.perf_counter()
            found = bw.validate(data, **options).to_dict()
            times.append(time.perf_counter() - started)
        return min(times), found | {"seconds": 0}

    alone, expected = taken(workers=1)
    walls = {}
    for workers in (1, 2):
        started = time.perf_counter()
        # The head has no cores for work, and each node has one.
        cluster = Cluster(True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(workers):
            cluster.add_node(num_cpus=1)
        started, start = time.perf_counter(), time.perf_counter() - started
        with closing(RayEngine(cluster.address)) as engine:
            joined = time.perf_counter() - started
            bw.validate(data, engine=engine)
            walls[workers], found = taken(engine=engine)
            assert found == expected
        report(f"  cluster with {workers} worker(s): {start:.1f} s to start, {joined:.1f} s to join")
        cluster.shutdown()
    report(f"  one process {alone:.2f} s, one worker {walls[1]:.2f} s, two workers {walls[2]:.2f} s of wall time")
    report(f"  one worker takes {walls[1] / alone:.2f} times as long as one process")
    report(f"  two workers are {walls[1] / walls[2]:.2f} times as fast as one; load {os.getloadavg()[0]:.1f}")
    benchmark.extra_info.update(one_process=alone, one_worker=walls[1], two_workers=walls[2])
    benchmark.pedantic(lambda: None)
