"""Everything that is done to this repository: ``python -m nox -l`` lists it."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]

ROOT = Path(__file__).parent
GROUPS = nox.project.load_toml("pyproject.toml")["dependency-groups"]
PACKAGES = [
    "packages/boxwright",
    "packages/boxwright-cli",
    "packages/boxwright-speedups",
    "packages/boxwright-testing",
    "packages/boxwright-tf[cpu]",
    "plugins/boxwright-coco",
    "plugins/boxwright-cocoeval",
    "plugins/boxwright-createml",
    "plugins/boxwright-csv",
    "plugins/boxwright-kerascv[cpu]",
    "plugins/boxwright-labelimg",
    "plugins/boxwright-panlabel",
    "plugins/boxwright-tfds[cpu]",
    "plugins/boxwright-tfod[cpu,litert]",
    "plugins/boxwright-tfrecord",
    "plugins/boxwright-transforms",
    "plugins/boxwright-voc",
    "plugins/boxwright-yolo",
]
WITH_TWINS = (
    *(f"packages/boxwright/tests/test_{name}.py" for name in ("plain", "schemas", "vocxml")),
    *(f"plugins/boxwright-{name}" for name in ("coco", "labelimg", "voc")),
)
"""The tests of what has a compiled twin."""

KINDS = ("format", "transform", "augmenter", "backend", "metric", "trainer", "exporter", "loader")
"""What `boxwright plugins new` can make."""

SOURCES = sorted(str(path.relative_to(ROOT)) for kind in ("packages", "plugins") for path in ROOT.glob(f"{kind}/*/src"))


def install(session: nox.Session, *groups: str) -> None:
    """Installs all packages as they stand here, and groups of tools, at the tested versions."""
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    tools = [requirement for group in groups for requirement in GROUPS[group]]
    session.install("-c", "constraints.txt", *editable, *tools)


@nox.session(python="3.11")
def quickstart(session: nox.Session) -> None:
    """Draws a dataset, trains a detector on it, measures it and shows what it finds: about four minutes."""
    install(session)
    out = Path(session.posargs[0] if session.posargs else "quickstart")
    started = time.monotonic()
    photos, run, pictures = out / "photos", out / "run", out / "pictures"
    session.run("boxwright", "demo", str(photos), "--overwrite")
    session.run("boxwright", "view", f"labelimg:{photos}/train", "--out", str(out / "dataset.png"), "--overwrite")
    for part in ("train", "test"):
        target = f"tfrecord:{out}/{part}.record"
        session.run("boxwright", "convert", f"labelimg:{photos}/{part}", target, "--overwrite")
    test = f"tfrecord:{out}/test.record"
    session.run("boxwright", "train", "--data", f"tfrecord:{out}/train.record", "--out", str(run), "--overwrite")
    session.run("boxwright", "evaluate", str(run), "--data", test)
    session.run("boxwright", "predict", str(run), f"{photos}/test", "--out", str(pictures), "--overwrite")
    minutes = (time.monotonic() - started) / 60
    results = sorted((run / "evaluation").glob("*.json"), key=os.path.getmtime)
    values = json.loads(results[-1].read_text("utf-8"))["values"]
    session.log(
        f"Done in {minutes:.1f} minutes: AP50 {values['AP50']:.3f}, mAP {values['AP']:.3f} on pictures not seen."
    )
    session.log(f"  the dataset       {out / 'dataset.png'}")
    session.log(f"  what it finds     {pictures}")
    session.log(f"  the metrics       {results[-1]}")
    session.log(f"  the model         {run}")
    session.log("With photos of your own, annotated in labelImg, type next:")
    session.log(f"  source {Path(session.bin).relative_to(ROOT)}/activate")
    session.log("  boxwright train --data labelimg:PHOTOS/train --val labelimg:PHOTOS/test --out runs/first")
    session.log("  boxwright predict runs/first PHOTOS/test --out found")


@nox.session(python="3.11")
def tests(session: nox.Session) -> None:
    """Runs every test but the slow ones."""
    install(session, "tests")
    run = ("pytest", "-m", "not slow", "-n", "auto", "--dist", "loadscope")
    session.run(*run, *session.posargs)
    if not session.posargs:  # the twins in Python of what is compiled
        session.run(*run, *WITH_TWINS, env={"BOXWRIGHT_SPEEDUPS": "0"})


@nox.session(python="3.11")
def slow(session: nox.Session) -> None:
    """Runs the tests that take longer than a minute, trainings on real photos among them; those of tfod are its own."""
    install(session, "tests")
    session.run("pytest", "-m", "slow and not tfod", *session.posargs)


@nox.session(python="3.11")
def template(session: nox.Session) -> None:
    """Makes a plugin of each kind from the template, installs it, and holds it to lint, types and all tests."""
    kinds = session.posargs or KINDS
    needed = ["packages/boxwright", "packages/boxwright-cli", "packages/boxwright-testing"]
    tools = [*GROUPS["lint"], *GROUPS["types"]]
    anew = [
        word for name in ("boxwright", "boxwright-cli", "boxwright-testing") for word in ("--refresh-package", name)
    ]
    session.install(*anew, "-c", "constraints.txt", *needed, *tools)
    if "augmenter" in kinds:
        session.install("-c", "constraints.txt", "tensorflow-cpu")
    folder = Path(session.create_tmp())
    for kind in kinds:
        name, out = f"my_{kind}", folder / kind
        shutil.rmtree(out, ignore_errors=True)
        session.run("uv", "pip", "uninstall", "-q", f"boxwright-my-{kind}", external=True)
        session.run("boxwright", "plugins", "new", name, "--kind", kind, "--out", str(out))
        session.install("-c", "constraints.txt", "-e", str(out))
        with session.chdir(out):
            session.run("ruff", "check", ".")
            session.run("ruff", "format", "--check", ".")
            session.run("mypy")
            session.run("pytest", "-q")
        session.run("boxwright", "plugins", "list")
        session.run("boxwright", "plugins", "check", f"boxwright-my-{kind}")


@nox.session(python="3.11")
def tfod(session: nox.Session) -> None:
    """Installs the environment of the TensorFlow Object Detection API, and runs the tests that need it."""
    install(session, "tests")
    session.run("boxwright", "env", "install", "tfod")
    session.run("pytest", "-m", "tfod", *session.posargs)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Checks style, format and words."""
    session.install("-c", "constraints.txt", *GROUPS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "scripts/check_words.py")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    """Checks types."""
    install(session, "types")
    session.run("mypy", *SOURCES)


@nox.session(python="3.11")
def bench(session: nox.Session) -> None:
    """Measures speed and memory beside the peers."""
    install(session, "bench")
    session.run("pytest", "tests/benchmarks", "--benchmark-only", *session.posargs)


@nox.session(python="3.11")
def build(session: nox.Session) -> None:
    """Builds every distribution into dist/ and installs the wheels into an environment of their own."""
    session.install("-c", "constraints.txt", *GROUPS["build"])
    for package in PACKAGES:
        session.run("python", "-m", "build", "--installer", "uv", "--outdir", "dist", package.partition("[")[0])


@nox.session(python="3.11")
def constraints(session: nox.Session) -> None:
    """Writes constraints.txt anew: the newest versions that fit together."""
    projects = [f"{package.partition('[')[0]}/pyproject.toml" for package in PACKAGES]
    groups = [argument for group in GROUPS for argument in ("--group", f"pyproject.toml:{group}")]
    extras = ["--extra", "cpu", "--extra", "litert"]
    options = ["--universal", "--python-version", "3.11", *extras, "--no-header", "--no-annotate"]
    private = ["--no-emit-index-url", "--no-emit-find-links"]
    session.run("uv", "pip", "compile", *options, *private, *groups, *projects, "-o", "constraints.txt", external=True)
    # The workspace's own packages are installed from here, not pinned.
    lines = Path("constraints.txt").read_text("utf-8").splitlines(keepends=True)
    Path("constraints.txt").write_text("".join(line for line in lines if not line.startswith("-e ")), "utf-8")
