from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxwright import Boxes, ImageRef, LabelMap, Sample
from boxwright.storage import AtomicOutput
from boxwright_tfrecord.example import Example
from boxwright_tfrecord.records import write_record
from boxwright_tfrecord.writer import TFRecordWriter

LABELS = LabelMap.from_names(["date, dried", "fig", "大きい 'nut'"])


@pytest.fixture(scope="session")
def data() -> Path:
    """Files written by TensorFlow 2.21 (``tf.train.Example``, ``tf.io.TFRecordWriter``, plain and with GZIP)."""
    return Path(__file__).parent / "data"


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """``encode(width, height, format="JPEG", orientation=None, ...)``: an image's bytes, by Pillow."""

    def make(
        width: int, height: int, format: str = "JPEG", orientation: int | None = None, mode: str = "RGB", **more: Any
    ) -> bytes:
        image = Image.effect_noise((width, height), 60).convert(mode)
        if orientation is not None:
            more["exif"] = Image.Exif()
            more["exif"][0x0112] = orientation
        buffer = io.BytesIO()
        image.save(buffer, format, **more)
        return buffer.getvalue()

    return make


@pytest.fixture
def make_sample(tmp_path: Path, encode: Callable[..., bytes]) -> Callable[..., Sample]:
    """``make_sample(name, size, labels, edges, attributes, content=bytes)``: a sample with its image in a file."""

    def make(
        name: str = "a.jpg",
        size: tuple[int, int] = (40, 30),
        labels: Sequence[str] = ("fig",),
        edges: Sequence[tuple[float, float, float, float]] = ((1, 2, 30, 20),),
        attributes: Sequence[dict[str, Any]] | None = None,
        content: bytes | None = None,
        **more: Any,
    ) -> Sample:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(*size) if content is None else content)
        image = ImageRef(name=name, width=size[0], height=size[1], location=str(path))
        return Sample(image=image, boxes=Boxes(labels, edges, attributes), source=f"{name}.xml", **more)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """``write(samples, name="out.record", **options)``: records of the samples; returns the location."""

    def run(samples: Iterable[Sample], name: str = "out.record", **options: Any) -> str:
        location = name if "://" in name else str(tmp_path / name)
        with AtomicOutput(location) as output:
            writer = TFRecordWriter(output, LABELS, **options)
            for sample in samples:
                writer.write(sample)
            writer.close()
        return location

    return run


@pytest.fixture
def write_records() -> Callable[..., Path]:
    """``write_records(path, features, ...)``: a file of one record per mapping of keys to lists of values."""

    def run(path: Path, *records: dict[str, list[Any]]) -> Path:
        with open(path, "wb") as file:
            for features in records:
                example = Example()
                for key, values in features.items():
                    add: dict[type, Any] = {bytes: example.add_bytes, float: example.add_floats, int: example.add_ints}
                    add[type(values[0]) if values else float](key, values)
                write_record(file, example.encode())
        return path

    return run
