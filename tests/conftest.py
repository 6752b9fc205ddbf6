"""A third-party plugin package, written to disk and found through its entry points like any other."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

PROBE = '''
import time
from pathlib import Path

from boxwright import (
    BackendSpec, Boxes, DataError, DatasetInfo, Detection, Detections, FormatSpec, ImageRef, MetricResult, MetricSpec,
    Option, Sample, TransformSpec, hookimpl,
)

boxwright_api = (1, 1)


class LinesReader:
    """Lines of NAME WIDTH HEIGHT [LABEL XMIN YMIN XMAX YMAX [FIELD=VALUE]]..., and images in the same folder."""

    def __init__(self, location, chatty=False):
        if not Path(location).exists():
            raise DataError(location, "file not found", "check the path")
        self.location, self.chatty = location, chatty
        self.info = DatasetInfo(format="lines", location=location)

    def read(self, on_problem):
        for number, line in enumerate(Path(self.location).read_text("utf-8").splitlines(), start=1):
            if self.chatty:
                print("the lines reader is talking")
            try:
                name, width, height, *words = line.split()
                labels, edges, attributes = [], [], []
                while words:
                    label, *numbers = words[:5]
                    del words[:5]
                    fields = {}
                    while words and "=" in words[0]:
                        key, _, value = words.pop(0).partition("=")
                        fields[key] = value
                    labels.append(label.replace("<ESC>", chr(27)))
                    edges.append(tuple(map(float, numbers)))
                    attributes.append(fields)
                image = ImageRef(
                    name=name, width=width, height=height, location=str(Path(self.location).parent / name)
                )
                sample = Sample(
                    image=image, boxes=Boxes(labels, edges, attributes), source=f"{self.location}, line {number}"
                )
            except ValueError:
                on_problem(DataError(self.location, "this is not an annotation", "correct the line", f"line {number}"))
                continue
            yield sample


class LinesWriter:
    def __init__(self, output, label_map):
        self.file = output.open()

    def write(self, sample):
        boxes = " ".join(f"{b.label} {b.xmin:g} {b.ymin:g} {b.xmax:g} {b.ymax:g}" for b in sample.boxes)
        self.file.write(f"{sample.image.name} {sample.image.width} {sample.image.height} {boxes}\\n".encode())
        self.file.flush()

    def close(self):
        self.file.close()


class EndlessReader:
    def __init__(self, location):
        self.info = DatasetInfo(format="endless", location=location)

    def read(self, on_problem):
        number = 0
        while True:
            number += 1
            time.sleep(0.002)
            yield Sample(image=ImageRef(name=f"{number}.jpg", width=9, height=9), boxes=Boxes(["a"], [(1, 1, 2, 2)]))


class BrokenReader:
    def __init__(self, location):
        raise ZeroDivisionError("a mistake of the programmer")


def detect(location):
    fits = str(location).endswith(".lines")
    return Detection(fits, "its name ends in .lines" if fits else "its name does not end in .lines")


class OnlyAnnotated:
    per_sample = True

    def __call__(self, samples):
        return (sample for sample in samples if sample.boxes)


class AverageModel:
    def __init__(self, label_map, edges):
        self.label_map, self.edges = label_map, edges

    def predict(self, samples, *, batch_size=8, score=0.0):
        from boxwright.images import read_header

        for sample in samples:
            read_header(sample.image.read(), sample.image.name)
            width, height = sample.image.width, sample.image.height
            edges = tuple(e * s for e, s in zip(self.edges, (width, height, width, height)))
            boxes = Boxes([self.label_map.names[0]], [edges], [{"score": 0.5}])
            yield Detections(image=sample.image, boxes=boxes)


class AverageBackend:
    def fit(self, job):
        import json

        if job.settings.get("stop"):
            raise KeyboardInterrupt
        if job.settings.get("wait"):
            import time

            with job.run.open_write("waiting"):
                pass
            time.sleep(60)
        rows = [
            [x1 / s.image.width, y1 / s.image.height, x2 / s.image.width, y2 / s.image.height]
            for s in job.data
            for x1, y1, x2, y2 in s.boxes.coordinates
        ]
        average = [sum(column) / len(rows) for column in zip(*rows)]
        with job.run.open_write("model/average.json") as file:
            file.write(json.dumps(average).encode())
        job.epoch_ended(1, {"loss": 0.25})

    def load(self, run):
        import json

        return AverageModel(run.label_map, json.loads(run.file("model/average.json").read_bytes()))


class AnythingFound:
    def __call__(self, pairs, label_map):
        found = [bool(detections.boxes) for _, detections in pairs]
        share = sum(found) / max(len(found), 1)
        values = {"found": share, "nothing": float("nan")}
        return MetricResult(values=values, per_class={"mug": {"found": share}}, main="found")


@hookimpl
def boxwright_formats():
    return [
        FormatSpec(
            name="lines", summary="One line per image", load="cli_probe:LinesReader", write="cli_probe:LinesWriter",
            options=(Option("chatty", bool, False, "whether it prints while it reads"),), detect="cli_probe:detect",
            suffixes=(".lines",), carries=frozenset({"empty"}),
            write_options=(
                Option(
                    "captions", bool, False, "whether to write captions after the boxes",
                    carries={"true": "+box.caption -empty"},
                ),
            ),
        ),
        FormatSpec(name="endless", summary="Never ends", load="cli_probe:EndlessReader"),
        FormatSpec(name="broken", summary="Has a bug", load="cli_probe:BrokenReader"),
        FormatSpec(
            name="wanting", summary="Without its library", load="cli_probe:LinesReader", requires=("no_such_library",),
            install="python -m pip install no-such-library",
        ),
    ]


@hookimpl
def boxwright_transforms():
    return [TransformSpec(name="annotated", summary="Keeps images with boxes", load="cli_probe:OnlyAnnotated")]


@hookimpl
def boxwright_backends():
    options = (
        Option("stop", bool, False, "stops as Ctrl-C would"), Option("rate", float, 0.5, "a number"),
        Option("wait", bool, False, "waits a minute"),
    )
    return [
        BackendSpec(
            name="average", summary="The average box", load="cli_probe:AverageBackend", options=options,
            presets={"plain": "nothing special", "fancy": "nothing special either"},
        )
    ]


@hookimpl
def boxwright_metrics():
    return [MetricSpec(name="found", summary="The share of images with a detection", load="cli_probe:AnythingFound")]
'''


def install(folder: Path, module: str, source: str, *, distribution: str = "", version: str = "1.0") -> None:
    """Installs a plugin in ``folder``: the module and its metadata, as an installer writes them."""
    distribution = distribution or module.replace("_", "-")
    (folder / f"{module}.py").write_text(source, "utf-8")
    metadata = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", "utf-8")
    (metadata / "entry_points.txt").write_text(f"[boxwright]\n{module} = {module}\n", "utf-8")


@dataclass
class Program:
    """The command line in this process (fast), or in a separate one."""

    site: Path

    def __call__(self, *words: object) -> Result:
        from boxwright_cli.main import app

        return CliRunner().invoke(app, [str(word) for word in words], prog_name="boxwright")

    def json(self, *words: object) -> dict[str, object]:
        """Returns the JSON object that a command prints, which must be all of stdout."""
        result = self(*words, "--json")
        assert result.exit_code == 0, result.stderr
        content = json.loads(result.stdout)
        assert isinstance(content, dict)
        return content

    def start(self, *words: object, **options: object) -> subprocess.Popen[str]:
        """Starts a separate process."""
        environment = os.environ | {"PYTHONPATH": str(self.site), "PYTHONUNBUFFERED": ""}
        command = [sys.executable, "-m", "boxwright_cli", *map(str, words)]
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment} | options
        return subprocess.Popen(command, **settings)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed third-party plugins; empty so far."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def boxwright(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """The program, with the plugin ``cli_probe`` in addition to those of this environment."""
    install(site, "cli_probe", PROBE)
    from boxwright.plugins import default_registry, load_plugins

    def forget() -> None:
        default_registry.cache_clear()
        load_plugins.cache_clear()
        for name in [name for name in sys.modules if name.startswith("cli_")]:
            del sys.modules[name]

    monkeypatch.syspath_prepend(str(site))
    for name in ("BOXWRIGHT_PLUGINS", "BOXWRIGHT_STRICT", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield Program(site)
    forget()


@pytest.fixture
def here() -> Callable[..., str]:
    """``here(*words, cwd=...)``: runs the program in this process, and returns what it prints.

    TensorFlow is imported once by all commands, which takes as long as most of them.
    """

    def run(*words: str, cwd: Path) -> str:
        from boxwright_cli.main import app

        with contextlib.chdir(cwd):
            result = CliRunner().invoke(app, list(words), prog_name="boxwright")
        assert result.exit_code == 0, f"{words}: {result.output}"
        return result.stdout

    return run


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains a backbone of a few layers, eagerly: tracing takes most of a training of two steps."""
    network = pytest.importorskip("boxwright_kerascv.network")
    from boxwright_kerascv.layers import Detector, NarrowBackbone

    def backbone(preset: object, shape: tuple[int, int, int], weights: str | None) -> NarrowBackbone:
        return NarrowBackbone(channels=[16, 16, 32, 32], depths=[0, 0, 0, 0], input_shape=shape)

    monkeypatch.setattr(network, "_backbone", backbone)
    monkeypatch.setattr(Detector, "run_eagerly", property(lambda model: True, lambda model, value: None))


@pytest.fixture
def install_plugin(boxwright: Program) -> Callable[..., None]:
    """Installs one more plugin package, given its module's name and text."""

    def add(module: str, source: str, **options: str) -> None:
        from boxwright.plugins import default_registry, load_plugins

        install(boxwright.site, module, source, **options)
        importlib.invalidate_caches()
        default_registry.cache_clear()
        load_plugins.cache_clear()

    return add


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Makes a dataset of the probe's format ``lines``, with its images, and returns its URI."""

    def make(*rows: str, name: str = "data.lines") -> str:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for row in rows:
            words = row.split()
            if len(words) >= 3 and words[1].isdigit() and words[2].isdigit():
                Image.new("RGB", (int(words[1]), int(words[2])), "teal").save(folder / words[0])
        (folder / name).write_text("".join(f"{row}\n" for row in rows), "utf-8")
        return f"lines:{folder / name}"

    return make


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket on a local S3 server."""
    pytest.importorskip("s3fs", reason="the S3 tests need moto[server] and s3fs")
    server_module = pytest.importorskip("moto.server", reason="the S3 tests need moto[server] and s3fs")
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("photos")
    yield "s3://photos"
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    server.stop()
