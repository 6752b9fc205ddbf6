"""The commands of the README on drawn images, and that it documents every option."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

import boxwright
import boxwright_transforms
from boxwright_testing import unlike_samples

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
COMMANDS = [line for line in README.splitlines() if line.startswith("boxwright convert ")]
SPECS = boxwright_transforms.boxwright_transforms()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images of three sizes, most of them in folders of three cameras."""
    folder = tmp_path_factory.mktemp("readme")
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for number, sample in enumerate(unlike_samples(16)):
        width, height = ((800, 600), (640, 480), (300, 900))[number % 3]
        name = f"cam{number % 4}/{number:03d}.png" if number % 4 else f"{number:03d}.png"
        (folder / name).parent.mkdir(exist_ok=True)
        Image.open(io.BytesIO(sample.image.read())).resize((width, height)).save(folder / name, compress_level=1)
        labels = ["apple", "fig", "leaf"] if number < 8 else ["apple", "fig"]
        rows += [f"{name},{width},{height},{label},{n * 90},20,{n * 90 + 80},230" for n, label in enumerate(labels)]
    (folder / "in.csv").write_text("\n".join(rows))
    boxwright.convert(f"csv:{folder}/in.csv", f"labelimg:{folder}/photos")
    return folder / "photos"


@pytest.fixture
def photos(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images in the folder of the test, and a class map."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(source)
    (tmp_path / "map.csv").write_text("apple,fruit\nfig,fruit\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("photos")
def test_the_commands_run(command: str) -> None:
    dataset, target, *rest = shlex.split(command.removeprefix("boxwright convert "))
    options = dict.fromkeys(rest[0::2])
    assert set(options) <= {"--with", "--workers"}, command
    steps = [value for name, value in zip(rest[0::2], rest[1::2], strict=True) if name == "--with"]
    report = boxwright.convert(dataset, target, steps=steps)
    assert report.targets
    assert len(report.notes) >= len(steps)


@pytest.mark.usefixtures("photos")
def test_the_code_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # code of the README
    assert names["report"].notes[0] == "fix: nothing to fix"  # type: ignore[attr-defined]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_option_is_in_the_table_of_its_step(spec: boxwright.TransformSpec) -> None:
    (section,) = re.findall(rf"\n## {spec.name}\n(.*?)(?=\n## |\Z)", README, re.DOTALL)
    table = [line for line in section.splitlines() if line.startswith("| `")]
    for option in spec.options:
        if option.name != spec.positional:
            assert any(f"`{option.name}=" in line for line in table), f"{spec.name}: {option.name}"
        for choice in option.type if isinstance(option.type, tuple) else ():
            shown = f"`{choice}`" if option.name == spec.positional else f"={choice}`"
            assert any(shown in line or f"`{choice}`" in line for line in table), f"{spec.name}: {option.name}={choice}"
