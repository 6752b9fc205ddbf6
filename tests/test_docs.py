"""Runs the commands and code of the README and the docs unchanged, except for the size of the training."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

import boxwright_testing
from boxwright import Detections, LabelMap, Run, Sample
from boxwright.datasets import protocols
from boxwright.models import protocols as model_protocols
from boxwright.plugins import KINDS, default_registry, hookspecs, load_plugins, specs

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
GUIDE = "docs/writing-a-plugin.md"
PAGES = {kind: f"docs/plugins/{kind}.md" for kind in KINDS}
EVENTS = "docs/plugins/events.md"
RECIPES = sorted(path.stem for path in (ROOT / "docs" / "recipes").glob("*.yaml"))

Here = Callable[..., str]
"""The fixture that runs the program in this process."""

needs_photos = pytest.mark.skipif(not (SHARED / "fruits").is_dir(), reason="the photos of shared/data are not here")


def read(path: str) -> str:
    """Returns the text of a page."""
    return (ROOT / path).read_text("utf-8")


def blocks(path: str, language: str) -> list[str]:
    """Returns the fenced code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", read(path), re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """Returns the words of each ``$`` line."""
    return [shlex.split(line[2:]) for line in block.splitlines() if line.startswith("$ ")]


def boxwright(*arguments: str, cwd: Path, **environment: str) -> str:
    """Runs the program and returns its standard output."""
    return python("-m", "boxwright_cli", *arguments, cwd=cwd, **environment)


def python(*arguments: str, cwd: Path, **environment: str) -> str:
    """Runs this Python and returns its standard output."""
    program = [sys.executable, *arguments]
    done = subprocess.run(program, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


@needs_photos
@pytest.mark.tensorflow
@pytest.mark.usefixtures("small_network")
def test_the_readmes_steps_run_on_the_fruits(tmp_path: Path, here: Here) -> None:
    pytest.importorskip("keras_cv")
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(SHARED)
    steps = commands(blocks("README.md", "console")[0])
    assert [words[1] for words in steps] == ["convert", "convert", "train", "evaluate", "predict"]
    for words in steps:
        short = ["--set", "steps=2", "--image-size", "96x96"] if words[1] == "train" else []
        here(*words[1:], *short, cwd=project)
    assert (project / "out" / "label_map.pbtxt").read_text().count("item {") == 3
    assert sorted(path.name for path in (project / "out" / "found").glob("*.jpg")) == ["10.jpg", "15.jpg"]


def test_the_first_steps_of_the_site_run(tmp_path: Path, here: Here) -> None:
    (block,) = blocks("docs/index.md", "console")
    steps = commands(block)
    assert [words[1] for words in steps] == ["demo", "view", "info", "convert"]
    for words in steps:
        here(*words[1:], cwd=tmp_path)
    assert (tmp_path / "dataset.png").is_file()
    assert (tmp_path / "label_map.pbtxt").is_file()


def test_the_site_and_the_readme_train_with_the_same_commands() -> None:
    (shown,) = re.findall(r"```\n(boxwright info .*?)```", read("docs/index.md"), re.DOTALL)
    assert f"```\n{shown}```" in read("README.md")


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.usefixtures("small_network")
def test_the_exports_of_the_deployment_page_run(tmp_path: Path, here: Here) -> None:
    """With a network that has learned nothing, in which nothing is detected."""
    for library in ("keras_cv", "ai_edge_litert", "onnxruntime", "openvino"):
        pytest.importorskip(library)
    here("demo", "photos", "--images", "8", "--size", "96x64", cwd=tmp_path)
    here("train", "--data", "labelimg:photos/train", "--out", "runs/first", "--set", "steps=2", cwd=tmp_path)
    made = set()
    for block in blocks("docs/deployment.md", "console"):
        for words in commands(block):
            here(*words[1:], cwd=tmp_path)
            if words[1] == "export":
                made.add(words[words.index("--out") + 1])
    assert made >= {"exported", "for-phones", "for-apps", "for-intel", "for-movidius", "for-servers", "for-tensorrt"}
    for folder in made:
        assert (tmp_path / folder / "detect.py").is_file(), folder
    assert (tmp_path / "for-movidius" / "model.bin").is_file()
    assert (tmp_path / "for-tensorrt" / "build.sh").is_file()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_commands_of_the_page_on_training_at_scale_run(tmp_path: Path) -> None:
    """Each in a separate process, because TensorFlow takes its devices once; those with an ``&`` at the same time."""
    pytest.importorskip("keras_cv")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = {"3000": one.getsockname()[1], "3001": two.getsockname()[1]}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for block in blocks("docs/training-at-scale.md", "console"):
            for words in commands(block):
                text = [re.sub(r"\b300[01]\b", lambda found: str(ports[found[0]]), word) for word in words[1:]]
                if words[1] == "train" and "--resume" not in words:
                    text += ["--preset", "tiny", "--image-size", "64x64"]
                if words[-1] == "&":
                    text.remove("&")
                    started.append(subprocess.Popen([sys.executable, "-m", "boxwright_cli", *text], cwd=tmp_path))
                else:
                    boxwright(*text, cwd=tmp_path)
        assert [process.wait(400) for process in started] == [0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    for name in ("two-devices", "two-workers", "two-workers.worker-1"):
        assert Run(tmp_path / "runs" / name).status == "done", name
    assert Run(tmp_path / "runs" / "two-workers").state["epochs_done"] == 2


@pytest.mark.parametrize(
    "text", [*blocks("docs/recipes.md", "yaml"), *(read(f"docs/recipes/{n}.yaml") for n in RECIPES)]
)
def test_every_value_of_the_recipes_is_accepted(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boxwright_cli.main import app
    from boxwright_cli.recipes.checks import check_plan
    from boxwright_cli.recipes.commands import step_commands
    from boxwright_cli.recipes.document import parse_recipe
    from boxwright_cli.recipes.plan import make_plan

    for library in ("boxwright_kerascv", "boxwright_tfds", "boxwright_transforms", "boxwright_tfod"):
        pytest.importorskip(library)
    monkeypatch.setattr("boxwright.environments.environment.Environment.require", lambda environment: None)
    monkeypatch.setattr("boxwright.models.weights.Weights.converted", lambda weights, backend: tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "data/images/train", "data/images/test"):
        (tmp_path / folder).mkdir(parents=True)
    check_plan(make_plan(parse_recipe(text, "recipe.yaml"), step_commands(get_command(app))))


class MiddleOfEachImage:
    """A model that finds the same in every image."""

    label_map = LabelMap.from_names(["key", "leaf", "mug"])

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        for sample in samples:
            width, height = sample.image.width, sample.image.height
            box = np.array([[width / 4, height / 4, width / 2, height / 2]])
            yield Detections.from_arrays(sample.image, ["mug"], box, [0.75])


def test_the_commands_of_the_page_on_predicting_run(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.models.inference.load_model", lambda *a, **k: MiddleOfEachImage())
    here("demo", "photos", "--images", "8", "--size", "96x64", cwd=tmp_path)
    (tmp_path / "photos" / "later").mkdir()
    shutil.copytree(tmp_path / "photos" / "train", tmp_path / "photos" / "new")
    for name in ("1", "2"):
        shutil.copy(tmp_path / f"photos/test/test-000{name}.jpg", tmp_path / f"photos/later/later-{name}.jpg")
    shutil.move(tmp_path / "photos/later/later-1.jpg", tmp_path / "photos/new/test-0001.jpg")
    cv2 = pytest.importorskip("cv2")
    film = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for level in range(5):
        film.write(np.full((64, 96, 3), 50 * level, np.uint8))
    film.release()
    for block in blocks("docs/predicting.md", "console"):
        for words in commands(block):
            here(*words[1:], cwd=tmp_path)
    annotated = sorted(path.stem for path in (tmp_path / "photos" / "to-correct").glob("*.xml"))
    assert annotated == ["later-2", "test-0001", *(f"train-000{number}" for number in range(1, 9))]
    assert len((tmp_path / "found-in-a-video" / "detections.jsonl").read_text("utf-8").splitlines()) == 5
    assert len(list((tmp_path / "frames").glob("*.xml"))) == 3


def make_run(folder: Path) -> None:
    """A run that says which images it was trained on, without a model."""
    labels = MiddleOfEachImage.label_map
    Run.create(folder, backend="none", config={"data": "labelimg:photos/train"}, label_map=labels, inputs={})


def test_the_commands_of_the_page_on_evaluating_run(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.models.inference.load_model", lambda *a, **k: MiddleOfEachImage())
    here("demo", "photos", "--images", "8", "--size", "96x64", cwd=tmp_path)
    for name in ("first", "second"):
        make_run(tmp_path / "runs" / name)
    for block in blocks("docs/evaluating.md", "console"):
        for words in commands(block):
            here(*words[1:], cwd=tmp_path)
    assert "overall,,AP50," in (tmp_path / "report.csv").read_text("utf-8")


def test_the_readmes_conversions_run(tmp_path: Path, here: Here) -> None:
    here("demo", "photos", "--images", "12", "--size", "96x64", cwd=tmp_path)
    steps = commands(blocks("README.md", "console")[1])
    assert [words[1] for words in steps] == ["validate", *["convert"] * 3, "info", "convert", "diff", "convert"]
    for words in steps:
        here(*words[1:], cwd=tmp_path)
    assert (tmp_path / "info.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert (tmp_path / "devkit" / "boxwright.sidecar.jsonl").is_file()


@pytest.mark.tensorflow
@pytest.mark.usefixtures("small_network")
def test_the_readmes_python_runs(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras_cv")
    here("demo", "photos", "--images", "8", "--size", "96x64", cwd=tmp_path)
    (code,) = blocks("README.md", "python")
    monkeypatch.chdir(tmp_path)
    import boxwright as library

    train = library.train
    monkeypatch.setattr(library, "train", lambda *a, **k: train(*a, **k, settings={"steps": 2}, image_size=(96, 96)))
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # the README's own code
    batch = next(iter(names["batches"]))  # type: ignore[call-overload]
    assert batch["images"].shape == (8, 512, 512, 3)
    assert set(batch["bounding_boxes"]) == {"boxes", "classes"}
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 2


def install_by_hand(site: Path, project: dict[str, Any]) -> None:
    """Writes the metadata that an installer makes of a ``pyproject.toml``."""
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    fields = {
        "Metadata-Version": "2.4",
        "Name": project["name"],
        "Version": project["version"],
        "Summary": project.get("description", "none"),
        "License-Expression": project.get("license", "Apache-2.0"),
        "Requires-Python": project.get("requires-python", ">=3.11"),
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
    points = project["entry-points"]["boxwright"]
    (info / "entry_points.txt").write_text(
        "[boxwright]\n" + "".join(f"{name} = {module}\n" for name, module in points.items()), "utf-8"
    )


def install_example(site: Path, page: str) -> str:
    """Installs the complete example of a page, its first block of Python, and returns the name of its module."""
    code = blocks(page, "python")[0]
    named = re.search(r'load="(boxwright_\w+):', code)
    module = named[1] if named else f"boxwright_{Path(page).stem}"
    name = module.removeprefix("boxwright_")
    (site / f"{module}.py").write_text(code, "utf-8")
    project = {"name": f"boxwright-{name}", "version": "1.0", "dependencies": ["boxwright>=0.1,<0.2"]}
    install_by_hand(site, project | {"entry-points": {"boxwright": {name: module}}})
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example of every page is installed."""
    folder = tmp_path_factory.mktemp("site")
    for page in (*PAGES.values(), EVENTS):
        install_example(folder, page)
    return folder


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, in which the commands of the pages are run."""
    folder = tmp_path_factory.mktemp("workplace")
    boxwright("demo", "photos", "--images", "6", "--size", "96x64", cwd=folder)
    return folder


def conformance(path: str, folder: Path, *pages: str) -> str:
    """Runs the test files of some pages; ``path`` is where their plugins are installed."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider --import-mode=importlib\n")
    for page in pages:
        (code,) = [block for block in blocks(page, "python") if "Tests):" in block]
        (folder / f"test_{Path(page).stem.replace('-', '_')}.py").write_text(code, "utf-8")
    return python("-m", "pytest", cwd=folder, PYTHONPATH=path)


def test_the_examples_of_the_pages_conform(site: Path, tmp_path: Path) -> None:
    assert "passed" in conformance(str(site), tmp_path / "tests", *PAGES.values())


def test_the_example_of_a_mixing_augmenter_conforms(site: Path, tmp_path: Path) -> None:
    """The second block of the page, in place of the first one's class."""
    first, second = blocks(PAGES["augmenter"], "python")[:2]
    code = first[: first.index("class Haze")].replace("haze", "exposure").replace(":Haze", ":DoubleExposure")
    code = code.replace('options=(Option("strength", float, 0.5, "maximum reduction", gt=0, le=1),),', "") + second
    (tmp_path / "boxwright_exposure.py").write_text(code, "utf-8")
    project = {"name": "boxwright-exposure", "version": "1.0", "dependencies": ["boxwright>=0.1,<0.2"]}
    install_by_hand(tmp_path, project | {"entry-points": {"boxwright": {"exposure": "boxwright_exposure"}}})
    test = (
        "from boxwright_testing import AugmenterTests\n\n\nclass TestIt(AugmenterTests):\n    augmenter = 'exposure'\n"
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider\n")
    (tmp_path / "tests" / "test_exposure.py").write_text(test, "utf-8")
    assert "passed" in python("-m", "pytest", cwd=tmp_path / "tests", PYTHONPATH=str(tmp_path))


@pytest.fixture
def examples(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs the examples of the pages in this process, too: it runs a command ten times as fast as a new one."""

    def forget() -> None:
        default_registry.cache_clear()
        load_plugins.cache_clear()
        for module in site.glob("*.py"):
            sys.modules.pop(module.stem, None)

    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(site))
        forget()
        yield
    forget()


@pytest.mark.usefixtures("examples")
def test_the_commands_of_the_pages_run(site: Path, workplace: Path, here: Here) -> None:
    """In an order in which each page finds what it needs: the runs of the backend's page are used on others."""
    kinds = ("format", "transform", "augmenter", "backend", "metric", "trainer", "exporter", "logger", "command")
    for kind in (*kinds, "annotator", "engine"):
        (block,) = blocks(PAGES[kind], "console")
        for words in commands(block):
            assert words[0] == "boxwright"
            here(*words[1:], cwd=workplace)
    (block,) = blocks(EVENTS, "console")
    (words,) = commands(block)
    here(*words[1:], cwd=workplace)
    assert (workplace / "diary" / "diary.txt").read_text("utf-8").splitlines() == [
        "started: average",
        "epoch 1: loss 0",
        "done",
    ]
    assert (workplace / "again").is_dir()
    assert (workplace / "exported" / "model.json").is_file()
    (loop,) = [block for block in blocks(PAGES["loader"], "python") if block.startswith("import boxwright\n")]
    shapes = python("-c", loop, cwd=workplace, PYTHONPATH=str(site)).splitlines()
    assert len(shapes) == len(list((workplace / "photos" / "train").glob("*.xml")))
    assert shapes[0].startswith("(64, 96, 3) (")


class Terminal:
    """Runs the commands of the guide; writes metadata instead of an installation."""

    def __init__(self, folder: Path) -> None:
        self.cwd = folder
        self.site = folder / "site"
        self.site.mkdir()
        self.path = [str(self.site)]
        self.output = ""

    def type(self, words: list[str]) -> None:
        path = {"PYTHONPATH": os.pathsep.join(self.path)}
        if words[0] == "cd":
            self.cwd /= words[1]
        elif words[0] == "boxwright":
            self.output = boxwright(*words[1:], cwd=self.cwd, **path)
        elif words[:4] == ["python", "-m", "pip", "install"]:
            self._install(words[4:])
        elif words == ["python", "-m", "pytest"]:
            self.output = python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=self.cwd, **path)
        elif words[0] in ("ruff", "mypy"):
            if shutil.which(words[0]):
                # mypy's cache of boxwright's packages is shared.
                cache = {"MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "docs")}
                subprocess.run(words, cwd=self.cwd, env=os.environ | path | cache, check=True)
        else:
            # tests/test_third_party.py builds the package and installs the wheel.
            assert words in (["python", "-m", "build"], ["twine", "upload", "dist/*"]), words

    def _install(self, what: list[str]) -> None:
        if what[-1] in (".", ".[dev]"):
            project = tomllib.loads((self.cwd / "pyproject.toml").read_text("utf-8"))["project"]
            install_by_hand(self.site, project)
            self.path.append(str(self.cwd / "src" if (self.cwd / "src").is_dir() else self.cwd))
        else:
            assert all(name.startswith("boxwright-") for name in what), what


def test_a_format_in_ten_minutes(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    ten_minutes = read(GUIDE).partition("## The same without the template")[0]
    typed = [
        words for block in re.findall(r"```console\n(.*?)```", ten_minutes, re.DOTALL) for words in commands(block)
    ]
    assert len(typed) == 15
    for words in typed:
        terminal.type(words)
        if words[:3] == ["boxwright", "plugins", "check"]:
            assert "All checks passed" in terminal.output
        if words[:2] == ["boxwright", "info"]:
            assert "myformat" in terminal.output
    assert (terminal.cwd / "train.myformat").read_text("utf-8").startswith('{"image": "')


def test_the_plugin_of_two_files_is_found_and_converts(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    (project,) = blocks(GUIDE, "toml")
    plugin = blocks(GUIDE, "python")[0]
    (tmp_path / "pyproject.toml").write_text(project, "utf-8")
    (tmp_path / "boxwright_lines.py").write_text(plugin, "utf-8")
    (tmp_path / "labels.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,30,fig,1,2,3,4\n", "utf-8"
    )
    block = blocks(GUIDE, "console")[-1]
    install, listing, convert = commands(block)
    terminal.type(install)
    terminal.type(listing)
    assert "boxwright-lines" in terminal.output
    terminal.type(convert)
    assert (tmp_path / "labels.lines").read_text("utf-8") == (
        '{"name": "a.jpg", "width": 40, "height": 30, "boxes": [["fig", 1.0, 2.0, 3.0, 4.0]]}\n'
    )
    assert "passed" in conformance(os.pathsep.join(terminal.path), tmp_path / "tests", GUIDE)
    assert blocks(GUIDE, "python")[-1] == 'boxwright_conformance = "boxwright_lines.conformance"\n'


def pages_of(entry: Any) -> Iterator[str]:
    """Yields the pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from pages_of(each)


def test_the_navigation_of_the_site_has_every_page_once() -> None:
    """Strict mode reports neither a page that the navigation omits nor one that does not exist."""
    navigation = tomllib.loads(read("zensical.toml"))["project"]["nav"]
    pages = sorted(page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md"))
    assert sorted(pages_of(navigation)) == pages


def test_the_reference_has_a_page_for_each_public_package() -> None:
    core = ROOT / "packages" / "boxwright" / "src"
    packages = {".".join(stub.parent.relative_to(core).parts) for stub in core.glob("**/__init__.pyi")}
    pages = {page.stem: page.read_text("utf-8") for page in ROOT.glob("docs/reference/*.md")}
    assert pages == {name: f"# {name}\n\n::: {name}\n" for name in (*packages, "boxwright_testing")}


def described(page: str, name: str) -> bool:
    """Returns whether a page has the name as code, alone or with arguments: ```read(on_problem)```."""
    return re.search(rf"`(output\.|job\.)?{re.escape(name)}[`(]", read(page)) is not None


def test_every_hook_is_documented() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("boxwright_")]
    assert [name for name in hooks if not described(GUIDE, name)] == []
    for name in hooks:
        kind = name.removeprefix("boxwright_").removesuffix("s")
        page = PAGES.get(kind, EVENTS)
        assert described(page, name), f"{page} does not name {name}"
        if page == EVENTS:
            missing = [
                each for each in inspect.signature(getattr(hookspecs, name)).parameters if not described(page, each)
            ]
            assert missing == [], f"{page} does not name {missing} of {name}"


def fields(spec: type) -> Iterator[str]:
    yield from (field.name for field in dataclasses.fields(spec))


def test_every_field_of_a_spec_is_documented() -> None:
    for spec in (specs.Spec, specs.Option, specs.EnvironmentSpec):
        missing = [name for name in fields(spec) if not described(GUIDE, name)]
        assert missing == [], f"{GUIDE} does not describe {missing} of {spec.__name__}"
    missing = [name for name in fields(specs.WeightsSpec) if not described(PAGES["backend"], name)]
    assert missing == [], f"{PAGES['backend']} does not describe {missing} of WeightsSpec"
    for kind, spec in KINDS.items():
        own = set(fields(spec)) - set(fields(specs.Spec))
        missing = [name for name in sorted(own) if not described(PAGES[kind], name)]
        assert missing == [], f"{PAGES[kind]} does not describe {missing} of {spec.__name__}"


def test_the_options_that_change_what_is_carried_are_documented_correctly() -> None:
    (code,) = [block for block in blocks(PAGES["format"], "python") if "write_options = (" in block]
    names: dict[str, Any] = {}
    exec(compile(code, PAGES["format"], "exec"), names)  # the page's own code
    spec = specs.FormatSpec(
        name="albums", carries=frozenset({"images", "empty", "image.*"}), write_options=names["write_options"]
    )
    assert spec.written_with({"pictures": False}).carries == {"empty", "image.*"}
    assert spec.written_with({"scores": True, "kind": "boxes"}).carries == {"images", "box.score"}


PAGE_OF = {
    "Reader": "format",
    "Writer": "format",
    "Output": "format",
    "Transform": "transform",
    "Model": "backend",
    "Backend": "backend",
    "Converter": "backend",
    "Augmenter": "augmenter",
    "Trainer": "trainer",
    "Replicas": "trainer",
    "ReplicatedTraining": "backend",
}
"""The page of each protocol by the end of its name; others have the name of their page."""


def test_every_protocol_is_documented() -> None:
    found = {
        name: value
        for name, value in (vars(protocols) | vars(model_protocols)).items()
        if getattr(value, "_is_protocol", False)
    }
    found.pop("Protocol")
    assert len(found) >= len(KINDS)
    for name, protocol in found.items():
        page = PAGES[next((PAGE_OF[end] for end in PAGE_OF if name.endswith(end)), name.lower())]
        methods = [each for each in vars(protocol) if not each.startswith("_") or each == "__call__"]
        members = [*methods, *inspect.get_annotations(protocol)]
        assert members, name
        assert [each for each in members if not described(page, each)] == [], f"{page} does not describe all of {name}"
        if name not in (*PAGE_OF, *(kind.title() for kind in KINDS)):  # what a plugin may implement in addition
            assert described(page, name), f"{page} does not name {name}"


def test_every_setting_of_the_conformance_tests_is_documented() -> None:
    for name in boxwright_testing.__all__:
        tests = getattr(boxwright_testing, name)
        if not (inspect.isclass(tests) and issubclass(tests, boxwright_testing.SpecTests) and tests.kind):
            continue
        classes = [each for each in tests.__mro__ if each.__module__.startswith("boxwright_testing")]
        settings = {name for each in classes for name in inspect.get_annotations(each)} - {"kind"}
        missing = [setting for setting in sorted(settings) if not described(PAGES[tests.kind], setting)]
        assert missing == [], f"{PAGES[tests.kind]} does not describe {missing} of {name}"


@pytest.mark.parametrize("page", sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")))
def test_links_have_a_target(page: str) -> None:
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", read(page)):
        path, _, anchor = target.partition("#")
        other = (ROOT / page).parent / path if path else ROOT / page
        assert other.is_file(), f"{page}: {target}"
        text = other.read_text("utf-8") if anchor else ""
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, f"{page}: {target}; there is {sorted(anchors)}"
