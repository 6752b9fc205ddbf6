"""What the README and the docs show is run here, word for word but for the length of the training."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))

needs_photos = pytest.mark.skipif(not (SHARED / "fruits").is_dir(), reason="the photos of shared/data are not here")


def blocks(path: str, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    text = (ROOT / path).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(block: str) -> list[list[str]]:
    """The words of each ``$`` line."""
    return [shlex.split(line[2:]) for line in block.splitlines() if line.startswith("$ ")]


def boxwright(*arguments: str, cwd: Path, **environment: str) -> str:
    """Runs the program and returns its standard output."""
    program = [sys.executable, "-m", "boxwright_cli", *arguments]
    done = subprocess.run(program, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


@needs_photos
@pytest.mark.tensorflow
def test_the_readmes_steps_run_on_the_fruits(tmp_path: Path) -> None:
    pytest.importorskip("keras_cv")
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(SHARED)
    (block,) = blocks("README.md", "console")
    steps = commands(block)
    assert [words[1] for words in steps] == ["convert", "convert", "train", "evaluate", "predict"]
    for words in steps:
        short = ["--set", "steps=2"] if words[1] == "train" else []
        boxwright(*words[1:], *short, cwd=project)
    assert (project / "out" / "label_map.pbtxt").read_text().count("item {") == 3
    assert sorted(path.name for path in (project / "out" / "pictures").glob("*.jpg")) == ["10.jpg", "15.jpg"]


@pytest.mark.tensorflow
def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras_cv")
    boxwright("demo", "photos", "--images", "8", "--size", "96x64", cwd=tmp_path)
    (code,) = blocks("README.md", "python")
    monkeypatch.chdir(tmp_path)
    import boxwright as library

    train = library.train
    monkeypatch.setattr(library, "train", lambda *a, **k: train(*a, **k, settings={"steps": 2}))
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # the README's own code
    batch = next(iter(names["batches"]))  # type: ignore[call-overload]
    assert batch["images"].shape == (8, 512, 512, 3)
    assert set(batch["bounding_boxes"]) == {"boxes", "classes"}
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 2


def install_by_hand(site: Path, name: str, version: str, entry_point: str, module: str, code: str) -> None:
    """What an installer leaves of a one-module plugin."""
    (site / f"{module}.py").write_text(code, "utf-8")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[boxwright]\n{entry_point} = {module}\n", "utf-8")


def test_the_plugin_of_the_docs_is_found_and_converts(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (project,) = blocks("docs/writing-a-plugin.md", "toml")
    plugin, conformance = blocks("docs/writing-a-plugin.md", "python")
    assert 'lines = "boxwright_lines"' in project
    assert 'format = "lines"' in conformance
    install_by_hand(site, "boxwright-lines", "1.0", "lines", "boxwright_lines", plugin)
    (tmp_path / "labels.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,30,fig,1,2,3,4\n", "utf-8"
    )
    (block,) = blocks("docs/writing-a-plugin.md", "console")
    install, listing, convert = commands(block)
    assert install[1:] == ["-m", "pip", "install", "."]
    assert "boxwright-lines" in boxwright(*listing[1:], cwd=tmp_path, PYTHONPATH=str(site))
    boxwright(*convert[1:], cwd=tmp_path, PYTHONPATH=str(site))
    assert (tmp_path / "labels.lines").read_text("utf-8") == "a.jpg 40 30 fig 1.0 2.0 3.0 4.0\n"


def test_every_hook_is_documented() -> None:
    from boxwright import hookspecs

    page = (ROOT / "docs" / "writing-a-plugin.md").read_text("utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("boxwright_")]
    assert len(hooks) == 12
    assert [name for name in hooks if name not in page] == []
