"""The requests that reading from object storage takes, as ``docs/scale.md`` states them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "scale_simulation.py"


@pytest.mark.slow
def test_an_image_takes_one_request_and_a_shard_too() -> None:
    for library in ("moto.server", "s3fs", "boxwright_voc", "boxwright_tfrecord"):
        pytest.importorskip(library, reason="the simulation needs moto[server], s3fs, and two formats")
    done = subprocess.run([sys.executable, SCRIPT, "1200", "--read", "40"], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["layout"], row["read"]) for row in rows] == [
        ("files", 0),
        ("files", 40),
        ("shards", 0),
        ("shards", 1200),
    ]
    opened, read, opened_shards, read_shards = (row["requests"] for row in rows)
    assert read["GET"] - opened.get("GET", 0) == 40
    assert read["HEAD"] == opened["HEAD"]
    assert read["LIST"] == opened["LIST"] <= 8  # 1,000 names in each
    assert read_shards["GET"] - opened_shards["GET"] == 1
