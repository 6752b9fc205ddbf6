"""Converting between Pascal VOC, COCO and YOLO; validating images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright as bw

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark")

IMAGES = 5_000
MANY = 50_000


def coco_boxes(path: Path) -> dict[str, list[tuple[str, list[float]]]]:
    """Label and ``xywh`` of every box by file name, whichever tool wrote the JSON."""
    content = json.loads(path.read_text("utf-8"))
    names = {image["id"]: image["file_name"] for image in content["images"]}
    labels = {category["id"]: category["name"] for category in content["categories"]}
    found: dict[str, list[tuple[str, list[float]]]] = {name: [] for name in names.values()}
    for each in content["annotations"]:
        box = [round(float(edge), 3) for edge in each["bbox"]]
        found[names[each["image_id"]]].append((labels[each["category_id"]], box))
    return {name: sorted(boxes) for name, boxes in found.items()}


def moved(boxes: dict[str, list[tuple[str, list[float]]]]) -> dict[str, list[tuple[str, list[float]]]]:
    """The boxes of a tool that takes every VOC file to count pixels from 1, with the last one included."""
    return {
        name: sorted((label, [x - 1, y - 1, w + 1, h + 1]) for label, (x, y, w, h) in found)
        for name, found in boxes.items()
    }


@pytest.mark.parametrize(
    ("script", "library", "from_one"),
    [
        ("coco_globox.py", "globox", False),
        ("coco_hotcoco.py", "hotcoco", True),
        ("coco_panlabel.py", "panlabel", False),
    ],
)
def test_many_xml_to_coco(
    compare: Callable[..., None],
    boxwright: Callable[..., Any],
    peer: Callable[..., Any],
    voc: Callable[[int], Path],
    tmp_path: Path,
    script: str,
    library: str,
    from_one: bool,
) -> None:
    """50,000 XML files; two of the peers are written in Rust."""
    root, ours, theirs = voc(MANY), tmp_path / "ours.json", tmp_path / "theirs.json"
    folder = root / "Annotations" if library == "globox" else root
    job = boxwright([ours], "convert", f"labelimg:{root / 'Annotations'}", f"coco:{ours}")
    compare(job, peer(script, (library,) if library != "panlabel" else (), [theirs], folder, theirs))
    mine = coco_boxes(ours)
    assert coco_boxes(theirs) == (moved(mine) if from_one else mine)


def test_voc_to_yolo(
    compare: Callable[..., None],
    boxwright: Callable[..., Any],
    peer: Callable[..., Any],
    voc: Callable[[int], Path],
    in_memory: Path,
) -> None:
    """5,000 XML files to as many text files; without images, which the peer does not copy."""
    root, ours, theirs = voc(IMAGES), in_memory / "ours", in_memory / "theirs"
    job = boxwright([ours], "convert", f"voc:{root}", f"yolo:{ours}?pictures=false")
    compare(job, peer("yolo_globox.py", ("globox",), [theirs], root / "Annotations", theirs))
    mine = {path.stem: path.read_text("utf-8").splitlines() for path in ours.rglob("img_*.txt")}
    other = {path.stem: path.read_text("utf-8").splitlines() for path in theirs.rglob("img_*.txt")}
    assert mine.keys() == other.keys()
    for name, lines in mine.items():
        for one, two in zip(sorted(lines), sorted(other[name]), strict=True):
            assert [float(each) for each in one.split()] == pytest.approx(
                [float(each) for each in two.split()], abs=1e-5
            )


def test_coco_to_voc(
    compare: Callable[..., None],
    boxwright: Callable[..., Any],
    peer: Callable[..., Any],
    voc: Callable[[int], Path],
    in_memory: Path,
) -> None:
    """5,000 images of one JSON file to as many XML files; without images, which the peer does not copy."""
    source, ours, theirs = in_memory / "in.json", in_memory / "ours", in_memory / "theirs"
    bw.convert(f"voc:{voc(IMAGES)}", f"coco:{source}")
    job = boxwright([ours], "convert", f"coco:{source}", f"voc:{ours}?pictures=false")
    compare(job, peer("voc_globox.py", ("globox",), [theirs], source, theirs))
    mine = bw.open(f"labelimg:{ours / 'Annotations'}")
    other = bw.open(f"labelimg:{theirs}")
    facts = [{sample.image.name: sorted(map(repr, sample.boxes)) for sample in each} for each in (mine, other)]
    assert facts[0].keys() == facts[1].keys()
    assert sum(map(len, facts[0].values())) == sum(map(len, facts[1].values()))


def test_validating_and_decoding(
    compare: Callable[..., None],
    boxwright: Callable[..., Any],
    peer: Callable[..., Any],
    photos: Callable[[int], Path],
) -> None:
    """All checks take little time compared with decoding 5,000 images in two threads."""
    folder = photos(IMAGES)
    job = boxwright([], "validate", f"labelimg:{folder}", "--workers", "2", "--json")
    compare(job, peer("decode_pillow.py", ("PIL",), [], folder, 2))
