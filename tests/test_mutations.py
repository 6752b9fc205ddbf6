"""No mutation of a dataset's files causes an exception outside the error tree, or a reader that does not return.

``nox -s fuzz`` tries 20,000 mutations per format; ``BOXWRIGHT_MUTATIONS`` sets another number.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, BoxwrightError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader, detection_reasons
from boxwright.plugins import default_registry
from boxwright.storage import IMAGE_SUFFIXES

COUNT = int(os.environ.get("BOXWRIGHT_MUTATIONS", "25"))
SECONDS = 30
LONGEST = 20_000
SPECS = {entry.spec.name: entry.spec for entry in default_registry().all("format")}
FORMATS = sorted(
    name for name, spec in SPECS.items() if spec.load and spec.write and not spec.bridge and name != "pictures"
)
READ_ONLY = {
    "keras-yolo3": {"data": "0.jpg\n1.jpg 1,2,20,21,0 3,4,30,20.5,1\n2.jpg 3,4,30,20,1\n", "_classes.txt": "fig\nnut\n"}
}
PIECES = [
    *(b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"-1", b"1e999", b"NaN", b"9" * 400, b"null", b"true"),
    *(
        b'"',
        b"'",
        b"\\",
        b"{",
        b"}",
        b"[" * 3000,
        b"]",
        b"<",
        b"</",
        b"&#0;",
        b"&lt",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    ),
    *(b",", b":", b"\n", b"../", b"0", b"1" * 20, b"0.0", b"-0", b"\t", b" ", b"\r\n"),
    *(b"\x1f\x8b\x08", b"\x80" * 9, b"x" * 70_000),
]


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    def expired(number: int, frame: Any) -> None:
        raise TimeoutError("a reader does not return")

    before = signal.signal(signal.SIGALRM, expired)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def dataset(label: str) -> Dataset:
    content = BytesIO()
    Image.new("RGB", (40, 30)).save(content, "JPEG")
    boxes = Boxes(
        ["fig", label],
        [(1.5, 2, 20, 21), (3, 4, 30, 20)],
        [{"difficult": 1, "segmentation": [[1, 2, 3, 2, 3, 4]]}, {"note": "é"}],
    )
    samples = [
        Sample(
            image=ImageRef(name=f"{number}.jpg", width=40, height=30, data=content.getvalue()),
            boxes=boxes if number else Boxes(),
            split="train",
            attributes={"source_id": f"{number}"},
        )
        for number in range(3)
    ]
    return Dataset(SampleReader(samples))


def mutated(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        start = chance.randint(0, len(content))
        end = min(len(content), start + chance.choice((0, 1, 1, 2, 8, 64)))
        kind = chance.randrange(5)
        if kind == 0:
            content = content[:start] + chance.choice(PIECES) + content[end:]
        elif kind == 1:
            content = content[:start] + chance.randbytes(end - start) + content[end:]
        elif kind == 2:
            content = content[:start] + content[end:]
        elif kind == 3:
            content = content[:end] + content[start:]
        else:
            content = (
                content[:start] if chance.random() < 0.3 else content[:start] + chance.choice(PIECES) + content[start:]
            )
    return content


def outcome(uri: str, on_error: str, *, detect: bool) -> str:
    """Returns the problem; empty if the dataset is read, or refused in a short message."""
    try:
        for sample in boxwright.open(uri, on_error=on_error):
            _ = [dict(each) for each in sample.boxes.attributes]
        if detect:
            detection_reasons(uri.partition(":")[2], default_registry())
    except BoxwrightError as error:
        return f"a message of {len(str(error))} characters" if len(str(error)) > LONGEST else ""
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def write(name: str, place: Path) -> None:
    """Writes a dataset; the images of a format without a writer are next to it."""
    data = dataset("date" if name == "kitti" else "date, dried")  # KITTI's fields end at a space
    if name not in READ_ONLY:
        boxwright.convert(data, f"{name}:{place}", sidecar=True, workers=1)
        return
    for file, text in READ_ONLY[name].items():
        place.with_name(file).write_text(text)
    for sample in data:
        place.with_name(sample.image.name).write_bytes(sample.image.read())


@pytest.mark.parametrize("name", [*FORMATS, *READ_ONLY])
def test_every_mutation_is_read_or_refused(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    place = tmp_path / f"data{spec.suffixes[0] if spec.target == 'file' and spec.suffixes else ''}"
    write(name, place)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in IMAGE_SUFFIXES)
    originals = {path: path.read_bytes() for path in files}
    chance = random.Random(name)
    for number in range(COUNT):
        path = chance.choice(files)
        path.write_bytes(mutated(originals[path], chance))
        signal.alarm(SECONDS)
        problem = outcome(f"{name}:{place}", chance.choice(("fail", "skip")), detect=number % 8 == 0)
        signal.alarm(0)
        if problem:
            kept = shutil.copy(path, Path(tempfile.gettempdir(), f"mutation-{name}{path.suffix}"))
            pytest.fail(f"mutation {number} of {path.name}, kept as {kept}: {problem}")
        path.write_bytes(originals[path])
