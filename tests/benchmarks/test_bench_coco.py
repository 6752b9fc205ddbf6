"""Reading COCO files with polygons, crowds and annotations in any order; and the memory of a conversion.

The file has a tenth of the images of train2017; ``-m slow`` uses all of them.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")

HERE = Path(__file__).parent
IMAGES, ANNOTATIONS = 118_287, 860_001


@pytest.fixture(scope="module", params=[10, pytest.param(1, marks=pytest.mark.slow)])
def instances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("coco") / "instances_train2017.json"
    sizes = [str(whole // request.param) for whole in (IMAGES, ANNOTATIONS)]
    subprocess.run([sys.executable, str(HERE / "coco_data.py"), str(file), *sizes], check=True)
    return file


def test_info(
    compare: Callable[..., None], boxwright: Callable[..., Any], peer: Callable[..., Any], instances: Path
) -> None:
    """The peer only loads the file."""
    job = boxwright([], "info", f"coco:{instances}")
    compare(job, peer("coco_read_hotcoco.py", ("hotcoco",), [], instances), rounds=1)


@pytest.mark.parametrize(
    ("target", "name"), [("csv:{}", "tfod"), ("yolo:{}?pictures=false", "yolo"), ("coco:{}", "coco")]
)
def test_conversion(
    compare: Callable[..., None],
    boxwright: Callable[..., Any],
    peer: Callable[..., Any],
    instances: Path,
    in_memory: Path,
    target: str,
    name: str,
) -> None:
    ours, theirs = in_memory / "ours", in_memory / "theirs"
    job = boxwright([ours], "convert", f"coco:{instances}", target.format(ours))
    compare(job, peer("from_coco_panlabel.py", (), [theirs], instances, theirs, name), rounds=1)
    if name == "coco":
        before, after = (json.loads(path.read_text())["annotations"] for path in (instances, ours))
        keys = ("id", "bbox", "segmentation", "area", "iscrowd")
        values = [{row["id"]: [row[key] for key in keys] for row in rows} for rows in (before, after)]
        assert values[0] == values[1]


@pytest.mark.parametrize(("source", "target"), [("csv", "coco"), ("coco", "csv")])
def test_memory_does_not_grow_with_the_number_of_images(
    boxwright: Callable[..., Any], tmp_path: Path, source: str, target: str
) -> None:
    peaks = []
    for count in (20_000, 200_000):
        rows = (f"img_{n:08d}.jpg,640,480,class{n % 20},{n % 300},7,{n % 300 + 50},60\n" for n in range(count))
        given = tmp_path / "in.csv"
        given.write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(rows))
        out = tmp_path / f"out.{target}"
        if source == "coco":
            boxwright([], "convert", f"csv:{given}", f"coco:{tmp_path / 'in.coco'}", "--overwrite").run()
        job = boxwright([out], "convert", f"{source}:{tmp_path / f'in.{source}'}", f"{target}:{out}", "--workers", "1")
        peaks.append(job.run().peak_mb)
    assert peaks[1] - peaks[0] < 30
