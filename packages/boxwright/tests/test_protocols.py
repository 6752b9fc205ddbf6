"""The examples in the docstrings are complete plugins: each is run here like a user's plugin."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxwright
from boxwright import DataError, Dataset, ImageRef, Sample
from boxwright.annotation import protocols as annotation_protocols
from boxwright.datasets import protocols
from boxwright.models import protocols as model_protocols, replicas
from boxwright.plugins import hookspecs, specs
from boxwright.plugins.registry import KINDS, Registry

PROTOCOL_OF = {
    "format": "Reader",
    "transform": "Transform",
    "augmenter": "ArrayAugmenter",
    "backend": "Backend",
    "metric": "Metric",
    "trainer": "Trainer",
    "exporter": "Exporter",
    "loader": "Loader",
    "logger": "Logger",
    "command": "Command",
    "annotator": "Annotator",
    "engine": "Engine",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_plugin_has_a_hook_and_a_protocol_with_an_example(
    kind: str, docstring_code: Callable[[object], str]
) -> None:
    places = (protocols, model_protocols, annotation_protocols)
    protocol = next(getattr(place, PROTOCOL_OF[kind]) for place in places if hasattr(place, PROTOCOL_OF[kind]))
    code = docstring_code(protocol)
    compile(code, protocol.__name__, "exec")
    methods = [
        name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if name[0] != "_" or name == "__call__"
    ]
    assert methods
    for method in methods:
        defined = f"def {method}(" in code or (method == "__call__" and code.startswith("def "))
        assert defined, f"the example of {protocol.__name__} has no {method}"
        assert inspect.getdoc(getattr(protocol, method))
    hook = getattr(hookspecs, f"boxwright_{kind}s")
    assert hook.__annotations__["return"] == f"list[{KINDS[kind].__name__}]"


def test_every_hook_documents_when_it_is_called() -> None:
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("boxwright_")]
    assert len(hooks) == len(KINDS) + 6
    for hook in hooks:
        assert (inspect.getdoc(hook) or "").startswith("Called "), hook
        assert "return" in hook.__annotations__
        parameters = inspect.signature(hook).parameters
        assert set(parameters) <= set(hook.__annotations__)


def test_everything_public_has_a_docstring() -> None:
    for module in (hookspecs, protocols, model_protocols, replicas, specs):
        assert module.__doc__
        for name, value in vars(module).items():
            mine = inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
            if mine:
                assert value.__doc__, f"{module.__name__}.{name}"
                assert not value.__doc__.startswith(f"{name}("), f"{module.__name__}.{name} has only its signature"


def test_the_example_of_the_hooks(docstring_code: Callable[[object], str]) -> None:
    python, _, pyproject = docstring_code(hookspecs).partition("[project.entry-points.boxwright]")
    module = types.ModuleType("my_plugin")
    exec(compile(python, "hookspecs", "exec"), module.__dict__)
    assert module.boxwright_api == (specs.API_VERSION, specs.API_VERSION)
    assert [spec.name for spec in module.boxwright_formats()] == ["myformat"]
    assert pyproject.strip() == 'myformat = "my_plugin"'


def test_the_example_reader(ground_truth: str, plugins: Registry) -> None:
    data = boxwright.open(ground_truth, registry=plugins)
    samples = list(data)
    assert isinstance(data.reader, protocols.Reader)
    assert [(s.image.name, s.image.width, s.image.height, s.boxes.labels) for s in samples] == [
        ("a.jpg", 100, 80, ("fig", "date")),
        ("b.jpg", 100, 80, ("fig",)),
    ]
    assert samples[0].boxes.coordinates == ((10, 8, 30, 24), (50, 40, 70, 56))
    assert samples[1].source == f"{ground_truth.removeprefix('lines:')}, line 2"
    assert list(data) == samples


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "3",
        '{"name": "a.jpg"}',
        '{"name": "", "size": [1, 1], "boxes": []}',
        '{"name": "a.jpg", "size": [1], "boxes": []}',
        '{"name": "a.jpg", "size": [1, 1], "boxes": [["fig", 1, 2, 3]]}',
        '{"name": "a.jpg", "size": [1, 1], "boxes": [["fig", 1, 2, 3, NaN]]}',
        '{"name": "a.jpg", "size": [1, 1], "boxes": [["fig", 4, 2, 3, 3]]}',
        '{"name": "a.jpg", "size": [1, 1], "boxes": [[3, 1, 2, 3, 3]]}',
    ],
)
def test_the_example_reader_with_a_bad_line(tmp_path: Path, line: str, plugins: Registry) -> None:
    path = tmp_path / "bad.jsonl"
    good = '{"name": "a.jpg", "size": [1, 1], "boxes": []}'
    path.write_text(f"{good}\n{line}\n{good}\n", "utf-8")
    with pytest.raises(DataError) as caught:
        list(boxwright.open(f"lines:{path}", registry=plugins))
    assert (caught.value.file, caught.value.place) == (str(path), "line 2")
    assert caught.value.remedy
    data = boxwright.open(f"lines:{path}", registry=plugins, on_error="skip")
    assert len(list(data)) == 2
    assert [error.place for error in data.problems.skipped] == ["line 2"]
    with pytest.raises(DataError, match="file not found"):
        boxwright.open(f"lines:{tmp_path}/none.jsonl", registry=plugins)


def test_the_example_writer_writes_what_the_example_reader_reads(
    ground_truth: str, plugins: Registry, tmp_path: Path
) -> None:
    report = boxwright.convert(ground_truth, f"lines:{tmp_path}/copy.jsonl", registry=plugins)
    assert (report.boxes, report.classes) == (3, {"date": 1, "fig": 2})
    copied = boxwright.open(f"lines:{tmp_path}/copy.jsonl", registry=plugins)
    original = boxwright.open(ground_truth, registry=plugins)
    assert [(s.image, s.boxes) for s in copied] == [(s.image, s.boxes) for s in original]


def test_the_example_transform(
    dataset: Callable[..., Dataset], sample: Callable[..., Sample], examples: dict[str, types.ModuleType]
) -> None:
    transform = examples["Transform"].OnlyAnnotated()
    assert isinstance(transform, protocols.Transform)
    data = dataset(sample("a.jpg", ("fig", 0, 0, 1, 1)), sample("b.jpg"), sample("c.jpg", ("fig", 0, 0, 2, 2)))
    assert [s.image.name for s in data.through(transform)] == ["a.jpg", "c.jpg"]


def test_the_example_loader(ground_truth: str, plugins: Registry) -> None:
    data = boxwright.open(ground_truth, registry=plugins)
    assert data.to_lists(bounding_box_format="xyxy") == [("a.jpg", ["fig", "date"]), ("b.jpg", ["fig"])]
    assert data.with_label_map(data.label_map).to_lists() == data.to_lists()


def test_the_example_backend_metric_trainer_and_exporter(ground_truth: str, plugins: Registry, tmp_path: Path) -> None:
    run = boxwright.train(ground_truth, out=tmp_path / "run", trainer="here", registry=plugins)
    assert run.status == "done"
    model = boxwright.load_model(run, registry=plugins)
    assert isinstance(model, model_protocols.Model)
    # The mean of all boxes: xmin is 10, 50 and 30 of 100 pixels, ymin is 8, 40 and 24 of 80, and so on.
    expected = {"xmin": 30, "ymin": 24, "xmax": 50, "ymax": 40}
    image = Sample(image=ImageRef(name="x.jpg", width=200, height=160))
    [found] = list(model.predict([image]))
    assert found.boxes[0].label == "date"
    assert found.boxes[0].coordinates == pytest.approx([2 * edge for edge in expected.values()])
    evaluation = boxwright.evaluate(run, ground_truth, metric="found", registry=plugins)
    assert evaluation.values == {"found": 1.0}
    (tmp_path / "exported").mkdir()
    exporter = plugins.resolve("exporter", "json")()
    exported = exporter.load(exporter.export(run, tmp_path / "exported"))
    assert exported.label_map == run.label_map
    assert list(exported.predict([image])) == [found]


def test_the_examples_follow_their_protocols(examples: dict[str, types.ModuleType]) -> None:
    assert isinstance(examples["Backend"].AverageBackend(), model_protocols.Backend)
    assert isinstance(examples["Metric"].AnythingFound(), model_protocols.Metric)
    assert isinstance(examples["Trainer"].HereAndNow(), model_protocols.Trainer)
    assert isinstance(examples["Exporter"].JsonExporter(), model_protocols.Exporter)


def test_the_example_augmenters_on_arrays(docstring_code: Callable[[object], str]) -> None:
    import numpy as np

    namespace: dict[str, Any] = {}
    exec(docstring_code(model_protocols.ArrayAugmenter), namespace)
    exec(docstring_code(model_protocols.MixingAugmenter), namespace)
    mirror, double = namespace["Mirror"](), namespace["DoubleExposure"]()
    assert isinstance(mirror, model_protocols.ArrayAugmenter)
    assert isinstance(double, model_protocols.MixingAugmenter)
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    example = {"images": image, "boxes": np.array([[0, 0, 2, 1]], np.float32), "classes": np.array([3])}
    results = [mirror.augment(example, np.random.default_rng(seed)) for seed in range(20)]
    flipped = [result for result in results if result["boxes"].tolist() == [[3, 0, 5, 1]]]
    assert 0 < len(flipped) < 20
    assert all(np.array_equal(result["images"], image[:, ::-1]) for result in flipped)
    other = {"images": np.full((4, 3, 3), 9, np.uint8), "boxes": np.array([[1, 1, 9, 9]], np.float32)}
    both = double.mix(example, np.random.default_rng(0), lambda: other | {"classes": np.array([4])})
    assert both["boxes"].tolist() == [[0, 0, 2, 1], [1, 1, 3, 2]]
    assert both["classes"].tolist() == [3, 4]
    assert both["images"].shape == image.shape


@pytest.mark.tensorflow
def test_the_example_augmenter(docstring_code: Callable[[object], str]) -> None:
    tf = pytest.importorskip("tensorflow")
    import numpy as np

    namespace: dict[str, Any] = {}
    exec(docstring_code(model_protocols.Augmenter), namespace)
    mirror = namespace["Mirror"]()
    assert isinstance(mirror, model_protocols.Augmenter)
    image = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)
    example = {"images": tf.constant(image), "boxes": tf.constant([[0.0, 0, 2, 1]]), "classes": tf.constant([3])}
    flipped = 0
    for seed in range(20):
        out = mirror(example, tf.constant([seed, 7], tf.int32))
        [box] = out["boxes"].numpy().tolist()
        if box == [0, 0, 2, 1]:
            assert np.array_equal(out["images"], image)
        else:
            flipped += 1
            assert box == [3, 0, 5, 1]
            assert np.array_equal(out["images"], image[:, ::-1])
        assert out["classes"].numpy().tolist() == [3]
        again = mirror(example, tf.constant([seed, 7], tf.int32))
        assert np.array_equal(again["boxes"], out["boxes"])
    assert 0 < flipped < 20
