"""Test plugins: the examples of the docstrings, and small ones that fail as real ones do."""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from PIL import Image

import boxwright
from boxwright import (
    BackendSpec,
    Boxes,
    ConversionReport,
    DataError,
    Dataset,
    ExporterSpec,
    FormatSpec,
    ImageRef,
    LabelMap,
    LoaderSpec,
    MetricSpec,
    Option,
    Sample,
    TrainerSpec,
    TransformSpec,
)
from boxwright.datasets import protocols as dataset_protocols
from boxwright.datasets.dataset import SampleReader
from boxwright.models import protocols as model_protocols
from boxwright.plugins.hookspecs import hookimpl
from boxwright.plugins.manager import LoadedPlugins, PluginRecord
from boxwright.plugins.registry import KINDS, Registry
from boxwright.plugins.specs import Spec
from boxwright.progress import LogReporter

# The same examples in every run, no folder that keeps them, and no deadline.
settings.register_profile("boxwright", database=None, deadline=None, derandomize=True)
settings.load_profile("boxwright")

EXAMPLES = ("Reader", "Writer", "Transform", "Backend", "Metric", "Trainer", "Exporter", "Loader", "Logger")
"""Protocols whose docstring contains a complete plugin; that of Augmenter needs TensorFlow and has a separate test."""


def code_of(documented: object) -> str:
    """Returns the code blocks of a docstring, which are indented below a line that ends in ``::``."""
    text = inspect.getdoc(documented) or ""
    blocks = re.findall(r"::\n\n((?:(?: {4}[^\n]*)?\n)+)", text + "\n")
    return "\n".join(textwrap.dedent(block) for block in blocks)


@pytest.fixture(scope="session")
def docstring_code() -> Callable[[object], str]:
    return code_of


@pytest.fixture(scope="session")
def examples() -> Iterator[dict[str, types.ModuleType]]:
    """The docstrings' examples as modules ``my_plugin.reader``, ``my_plugin.writer``, ..."""
    made = {"": types.ModuleType("my_plugin")}
    sys.modules["my_plugin"] = made[""]
    for name in EXAMPLES:
        module = types.ModuleType(f"my_plugin.{name.lower()}")
        sys.modules[module.__name__] = made[name] = module
        exec(
            compile(
                code_of(getattr(dataset_protocols, name, None) or getattr(model_protocols, name)),
                module.__name__,
                "exec",
            ),
            module.__dict__,
        )
    yield made
    for module in made.values():
        del sys.modules[module.__name__]


LINES = FormatSpec(
    name="lines",
    load="my_plugin.reader:LinesReader",
    write="my_plugin.writer:LinesWriter",
    carries=frozenset({"empty", "subpixel"}),
    suffixes=(".jsonl",),
)

EXAMPLE_SPECS: tuple[Spec, ...] = (
    LINES,
    TransformSpec(name="only-annotated", load="my_plugin.transform:OnlyAnnotated"),
    BackendSpec(
        name="average",
        load="my_plugin.backend:AverageBackend",
        presets={"plain": "the only one", "other": "the same"},
        options=(Option("rate", float, 0.5, "a number"),),
    ),
    MetricSpec(name="found", load="my_plugin.metric:AnythingFound"),
    TrainerSpec(name="here", load="my_plugin.trainer:HereAndNow"),
    ExporterSpec(name="json", load="my_plugin.exporter:JsonExporter"),
    LoaderSpec(name="lists", load="my_plugin.loader:to_lists"),
)


def registry_of(specs: Iterable[Spec], **events: Callable[..., None]) -> Registry:
    """Returns a registry with only these specs and event hooks, and boxwright's built-in plugins."""
    plugin = types.ModuleType("toys")
    for kind, spec_type in KINDS.items():
        mine = [spec for spec in specs if isinstance(spec, spec_type)]
        setattr(plugin, f"boxwright_{kind}s", hookimpl(_returning(mine)))
    for name, function in events.items():
        setattr(plugin, name, hookimpl(function))
    plugins = LoadedPlugins()
    plugins.register(plugin, PluginRecord("toys", "toys", "1.0", "toys"))
    return Registry(plugins)


def _returning(specs: Sequence[Spec]) -> Callable[[], Sequence[Spec]]:
    return lambda: specs


@pytest.fixture
def make_registry(examples: dict[str, types.ModuleType]) -> Callable[..., Registry]:
    """Builds a registry of the examples and other specs; a later spec replaces one of its kind and name."""

    def make(*specs: Spec, **events: Callable[..., None]) -> Registry:
        chosen = {(type(spec), spec.name): spec for spec in (*EXAMPLE_SPECS, *specs)}
        return registry_of(list(chosen.values()), **events)

    return make


@pytest.fixture
def plugins(make_registry: Callable[..., Registry]) -> Registry:
    """The examples as plugins."""
    return make_registry()


@pytest.fixture
def lines() -> FormatSpec:
    return LINES


@pytest.fixture
def toys() -> Iterator[types.ModuleType]:
    """An empty module ``toys``, in which a spec's ``load`` finds its object."""
    module = types.ModuleType("toys")
    sys.modules["toys"] = module
    yield module
    del sys.modules["toys"]


def make_sample(name: str, *boxes: tuple[Any, ...], size: tuple[int, int] = (100, 80), **fields: Any) -> Sample:
    """Returns a sample without an image file: boxes are ``(label, xmin, ymin, xmax, ymax)``, with or without a dict."""
    attributes = [box[5] if len(box) > 5 else {} for box in boxes]
    return Sample(
        image=ImageRef(name=name, width=size[0], height=size[1], **fields.pop("image", {})),
        boxes=Boxes([box[0] for box in boxes], [box[1:5] for box in boxes], attributes),
        source=fields.pop("source", f"source of {name}"),
        **fields,
    )


@pytest.fixture
def sample() -> Callable[..., Sample]:
    return make_sample


@pytest.fixture
def dataset() -> Callable[..., Dataset]:
    """A dataset of samples in memory."""

    def make(*samples: Sample, **options: Any) -> Dataset:
        return Dataset(SampleReader(samples), **options)

    return make


class NumbersWriter:
    """A format of class ids: one line per image."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        assert label_map is not None
        self.file, self.label_map = output.open(), label_map

    def write(self, sample: Sample) -> None:
        if sample.image.name == "cannot.jpg":
            raise DataError(sample.source, "cannot be written", "leave it out")
        numbers = [self.label_map.id(label) for label in sample.boxes.labels]
        self.file.write(f"{sample.image.name} {numbers}\n".encode())

    def close(self) -> None:
        self.file.close()


class FolderWriter:
    """A format of one file per image, in a folder."""

    def __init__(self, output: Any, label_map: LabelMap | None) -> None:
        self.output = output

    def write(self, sample: Sample) -> None:
        with self.output.open(f"{sample.image.name}.txt") as file:
            file.write(" ".join(sample.boxes.labels).encode())

    def close(self) -> None:
        """Does nothing, because no file is open."""


class Stamp:
    """Sets the split of every sample by its name, or fails; records its calls."""

    per_sample = True

    def __init__(self, parts: str = "train", fail: str = "") -> None:
        self.parts, self.fail, self.done = parts.split("+"), fail, 0
        self.threads: set[str] = set()

    def __call__(self, samples: Any) -> Iterator[Sample]:
        for sample in samples:
            self.threads.add(threading.current_thread().name)
            if sample.image.name == self.fail:
                raise DataError(sample.source, "the image is damaged", "replace it")
            self.done += 1
            yield sample.replace(split=self.parts[ord(sample.image.name[0]) % len(self.parts)])

    def notes(self) -> list[str]:
        return [f"{self.done} stamped"]


@pytest.fixture
def targets(make_registry: Callable[..., Registry], toys: types.ModuleType) -> Registry:
    """The examples, and formats to write: class ids with and without a label map file, folders."""
    for thing in (NumbersWriter, FolderWriter, Stamp):
        setattr(toys, thing.__name__, thing)
    numbers = FormatSpec(
        name="numbers",
        write="toys:NumbersWriter",
        carries=frozenset({"empty"}),
        numbered=True,
        label_map_file="label_map.pbtxt",
        suffixes=(".num",),
    )
    return make_registry(
        numbers,
        dataclasses.replace(numbers, name="bare", label_map_file=""),
        FormatSpec(name="folder", write="toys:FolderWriter", target="folder", label_map_file="classes.pbtxt"),
        FormatSpec(name="read-only", load="toys:None"),
        TransformSpec(name="stamp", load="toys:Stamp", positional="parts", options=(Option("parts"), Option("fail"))),
    )


@pytest.fixture
def convert(targets: Registry) -> Callable[..., ConversionReport]:
    """``boxwright.convert`` with the plugins of ``targets``."""

    def run(source: Any, target: str, **options: Any) -> ConversionReport:
        return boxwright.convert(source, target, registry=targets, **options)

    return run


@pytest.fixture
def fruits(dataset: Callable[..., Dataset], sample: Callable[..., Sample]) -> Dataset:
    """Three images with three boxes of two classes."""
    return dataset(
        sample("a.jpg", ("fig", 0, 0, 10, 10), ("date", 1, 1, 5, 5)),
        sample("b.jpg"),
        sample("c.jpg", ("fig", 2, 2, 9, 9)),
    )


@pytest.fixture
def image_bytes() -> Callable[..., bytes]:
    """Encodes an image of one colour."""

    def make(size: tuple[int, int] = (100, 80), format: str = "JPEG", color: object = (90, 120, 150)) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", size, color).save(buffer, format)  # type: ignore[arg-type]
        return buffer.getvalue()

    return make


@pytest.fixture
def images(tmp_path: Path, image_bytes: Callable[..., bytes]) -> Path:
    """A folder with three images of 100x80, one in a subfolder."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.png", "sub/c.jpg"):
        (folder / name).write_bytes(image_bytes(format="PNG" if name.endswith("png") else "JPEG"))
    return folder


@pytest.fixture
def ground_truth(tmp_path: Path) -> str:
    """A URI of the examples' format: two images, three boxes of two classes."""
    path = tmp_path / "ground_truth.jsonl"
    path.write_text(
        '{"name": "a.jpg", "size": [100, 80], "boxes": [["fig", 10, 8, 30, 24], ["date", 50, 40, 70, 56]]}\n'
        '{"name": "b.jpg", "size": [100, 80], "boxes": [["fig", 30, 24, 50, 40]]}\n',
        "utf-8",
    )
    return f"lines:{path}"


class Reports:
    """Records the calls of a reporter."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def task(self, description: str, total: int | None = None) -> Any:
        return LogReporter().task(description, total)


@pytest.fixture
def reports() -> Reports:
    return Reports()
