"""The compiled function returns what its Python implementation returns, or leaves the input to it.

`nox -s sanitize` runs these tests with a build that stops at the first wrong access to memory.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright.datasets import Problems
from boxwright_voc.readers import LabelImgReader
from boxwright_voc.xml import document, parsing
from boxwright_voc.xml.patterns import match_layout

speedups: Any = pytest.importorskip(
    "boxwright_speedups._compiled", reason="boxwright-speedups was built without a C compiler"
)

SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


def outcome(work: Callable[[], Any]) -> tuple[str, str]:
    """Returns the result or the error."""
    try:
        return "answer", repr(work())
    except (ValueError, DataError) as error:
        return type(error).__name__, str(error)


# ---------------------------------------------------------------------------------------------- Pascal VOC XML

HEAD = (
    "<annotation>\n\t<folder>train</folder>\n\t<filename>1.jpg</filename>\n\t<path>/a/1.jpg</path>\n"
    "\t<source>\n\t\t<database>Unknown</database>\n\t</source>\n"
    "\t<size>\n\t\t<width>500</width>\n\t\t<height>375</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    "\t<segmented>0</segmented>\n"
)
BOX = "<bndbox>\n<xmin>1</xmin>\n<ymin>2.5</ymin>\n<xmax>30</xmax>\n<ymax>40</ymax>\n</bndbox>\n"
OBJECTS = {
    "labelImg": "<object>\n<name>fig</name>\n<pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
    f"{BOX}</object>",
    "VOC 2008": "<object><name>fig</name><pose></pose><truncated>0</truncated><occluded>1</occluded>"
    f"{BOX}<difficult>1</difficult></object>",
    "Roboflow": "<object><name>fig</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    "<occluded>0</occluded><bndbox><xmin>1</xmin><xmax>30</xmax><ymin>2</ymin><ymax>40</ymax></bndbox></object>",
}
XML = [
    f"{HEAD}{OBJECTS['labelImg']}\n{OBJECTS['labelImg']}</annotation>\n",
    f"{HEAD}{OBJECTS['VOC 2008']}</annotation>",
    f"{HEAD}{OBJECTS['Roboflow']}{OBJECTS['Roboflow']}</annotation>",
    f"{HEAD}</annotation>",
    HEAD.replace("<annotation>", '<annotation verified="yes">').replace("<folder>train</folder>", "<folder/>")
    + f"{OBJECTS['labelImg']}</annotation>",
    HEAD.replace("<depth>3</depth>", "<depth>1</depth>").replace("Unknown", "mine").replace("ted>0", "ted>1")
    + "</annotation>",
]


@pytest.mark.parametrize("xml", XML)
def test_usual_xml_is_read_by_the_compiled_parser(xml: str) -> None:
    answer = speedups.parse_layout(xml.encode())
    assert answer is not None
    assert repr(parsing.Annotation._make(answer)) == repr(match_layout(xml.encode()))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos of shared/data are missing")
def test_xml_of_real_photos_is_read_by_the_compiled_parser() -> None:
    files = sorted(SHARED.rglob("*.xml"))
    answers = [speedups.parse_layout(file.read_bytes()) for file in files]
    assert sum(answer is not None for answer in answers) >= 0.95 * len(files) > 200
    for file, answer in zip(files, answers, strict=True):
        if answer is not None:
            assert repr(parsing.Annotation._make(answer)) == repr(match_layout(file.read_bytes()))


@pytest.mark.parametrize("xml", XML)
def test_xml_that_breaks_off_is_left_to_python(xml: str) -> None:
    data = xml.encode()
    for size in range(len(data.rstrip())):
        assert speedups.parse_layout(data[:size]) is None


PIECES = [
    *("", " ", "\n", "\t", "\x00", "\x0b", "é", "\ufffe", "\uffff"),
    *[
        "<",
        ">",
        "&",
        "&amp;",
        "]",
        "-",
        ".",
        "0",
        "00",
        "1e3",
        "007",
        "Unspecified",
        "Unknown",
        "999999999999",
        "9999999999999",
        "0.12345678901234567",
        "-999999999999.12345678901234567",
    ],
    *["0.123456789012345678", "<!---->", "<difficult>1</difficult>", "<occluded>1</occluded>", "<name>x</name>"],
    *["<object>", "</object>", "<folder/>", "</annotation>"],
]


def damaged(chance: random.Random) -> bytes:
    """Returns XML as programs write it, with a few pieces removed, added or exchanged."""
    text = chance.choice(XML)
    if chance.random() < 0.3:
        text = HEAD + "".join(chance.choices(list(OBJECTS.values()), k=chance.randint(1, 3))) + "</annotation>"
    for _ in range(chance.randint(0, 3)):
        start = chance.randrange(len(text) + 1)
        if chance.random() < 0.5 and ">" in text[start:]:  # the start of a text
            start = text.index(">", start) + 1
        stop = start + chance.choice((0, 0, 1, 1, 2, 5, 20))
        text = text[:start] + chance.choice(PIECES) + text[stop:]
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        place = chance.randrange(len(data) + 1)
        data = data[:place] + bytes([chance.randrange(256)]) + data[place + chance.randint(0, 1) :]
    return data


def test_damaged_xml_is_read_the_same_or_left_to_python() -> None:
    chance = random.Random(0)
    read = 0
    for _ in range(20_000):
        data = damaged(chance)
        answer = speedups.parse_layout(data)
        if answer is not None:
            read += 1
            assert repr(parsing.Annotation._make(answer)) == repr(match_layout(data)), data
    assert read > 3_000


# ---------------------------------------------------------------------------------------------- the distribution


def some_samples(seed: int) -> Iterator[Sample]:
    chance = random.Random(seed)
    for number in range(40):
        how_many = chance.randint(0, 5)
        coordinates = []
        for _ in range(how_many):
            left, top = chance.choice((chance.randint(0, 40), chance.uniform(0, 40))), chance.randint(0, 40)
            coordinates.append((float(left), float(top), left + chance.randint(0, 50), top + chance.uniform(0, 50)))
        attributes = [
            {key: 1 for key in ("difficult", "truncated", "occluded") if chance.random() < 0.3}
            | ({"pose": chance.choice(("Left", "a&b"))} if chance.random() < 0.2 else {})
            for _ in range(how_many)
        ]
        labels = chance.choices(["fig", "вишня", "red, ripe", "a&b"], k=how_many)
        image = ImageRef(name=f"{number}.jpg", width=100, height=100)
        # labelImg's layout has no <n>.
        more = {"n": number} if number % 4 == 0 else {}
        yield Sample(image=image, boxes=Boxes(labels, coordinates, attributes), attributes={"folder": "f"} | more)


def test_conversions_write_the_same_bytes(tmp_path: Path) -> None:
    """Into five formats, from XML and from what was made of it."""
    folder = tmp_path / "xml"
    folder.mkdir()
    writing = document.XmlDocument()
    for sample in some_samples(1):
        (folder / sample.image.name.replace("jpg", "xml")).write_bytes(writing.encoded(sample))
    compiled = [speedups.parse_layout(path.read_bytes()) is not None for path in folder.iterdir()]
    assert 10 < sum(compiled) < len(compiled), "both parsers are needed"
    suffixes = {"coco": ".json", "csv": ".csv", **dict.fromkeys(("voc", "labelimg", "yolo"), "?pictures=false")}
    written = []
    for switch in ("1", "0"):
        out = tmp_path / f"out{switch}"
        jobs = [(f"labelimg:{folder}", f"coco:{out}/all.json")]
        jobs += [
            (source, f"{target}:{out}/{target}/{name}{suffix}")
            for target, suffix in suffixes.items()
            for source, name in zip(jobs[0], ("one", "two"), strict=True)
        ]
        code = f"import boxwright\nfor job in {jobs!r}: boxwright.convert(*job, workers=1)"
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"BOXWRIGHT_SPEEDUPS": switch})
        written.append({str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()})
    assert written[0] == written[1]
    assert {Path(name).parts[0] for name in written[0]} == {"all.json", *suffixes}


def test_the_plugin_uses_it_unless_it_is_switched_off() -> None:
    code = (
        "import boxwright_speedups\n"
        "from boxwright_voc.xml import parsing\n"
        "print(parsing._compiled, boxwright_speedups.state)"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"BOXWRIGHT_SPEEDUPS": switch},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for switch in ("1", "0")
    ]
    assert answers == [
        f"{speedups.parse_layout} in use\n",
        "None switched off by BOXWRIGHT_SPEEDUPS=0\n",
    ]


def test_memory_is_released() -> None:
    chance = random.Random(3)
    files = [damaged(chance) for _ in range(300)] + [xml.encode() for xml in XML]
    numbers = count(100)

    def all_once() -> None:
        for data in files:
            speedups.parse_layout(data)
        # Names that no other file has, and that are too long to be cached.
        name = f"{next(numbers)}" * 1000
        speedups.parse_layout(
            XML[0].replace("<name>fig", f"<name>{name}").replace("<pose>Left", f"<pose>{name}").encode()
        )

    for _ in range(3):
        all_once()
    gc.collect()
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(4):
            for _ in range(5):
                all_once()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert min(after - before for before, after in pairwise(sizes)) < 2_000


def test_the_reader_uses_it(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text(XML[0])
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_compiled", lambda data: calls.append(data) or speedups.parse_layout(data))
        (sample,) = LabelImgReader(str(tmp_path)).read(Problems())
    assert len(calls) == 1
    assert sample.boxes.labels == ("fig", "fig")
