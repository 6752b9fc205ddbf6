"""The sessions of this repository: ``python -m nox -l`` lists them."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.download_python = "never"  # a session whose Python is not installed is skipped
nox.options.sessions = ["tests", "lint", "types"]

ROOT = Path(__file__).parent
GROUPS = nox.project.load_toml("pyproject.toml")["dependency-groups"]
DISTRIBUTIONS = sorted(
    path.parent for kind in ("packages", "plugins") for path in (ROOT / kind).glob("*/pyproject.toml")
)
"""Every folder with a ``pyproject.toml`` under ``packages/`` and ``plugins/``."""

SOURCES = [str(path.relative_to(ROOT) / "src") for path in DISTRIBUTIONS]

WHEELS = ROOT / "dist"
VERSION = ROOT / "packages" / "boxwright" / "src" / "boxwright" / "_version.py"

KERAS_HUB = "keras-hub==0.32.0"
"""It requires `tensorflow-text`, which is not for `tensorflow-cpu`, and which no detector needs."""

DEVELOPMENT_EXTRAS = ("browser", "cpu", "litert", "pretrained")
"""The extras that are installed here, of every distribution that has them."""

PYTHON, *OTHER_PYTHONS = nox.project.python_versions(nox.project.load_toml("packages/boxwright/pyproject.toml"))
"""What the classifiers name: the sessions run on the first, and `tests-3.12` on another."""

KINDS = sorted(path.name for path in (ROOT / "templates" / "plugin").iterdir() if (path / "tests").is_dir())
"""What `boxwright plugins new` can make."""

LENIENT = (
    *("--cache-dir", ".mypy_cache/tests"),  # one cache for each set of options
    *("--allow-untyped-defs", "--allow-untyped-calls", "--allow-untyped-decorators", "--allow-subclassing-any"),
    *("--implicit-reexport", "--no-strict-equality", "--no-warn-unreachable", "--no-warn-unused-ignores"),
    *("--disable-error-code", "union-attr"),  # where a test finds None, it fails
    *("--disable-error-code", "func-returns-value"),  # lambda: calls.append(1) or answer
)
"""How mypy checks tests."""

PEERS = ("datumaro==1.13.12", "label-studio-sdk==2.1.2")
"""What the session `peers` reads with."""

PYTEST = ("pytest", "-m", "not slow", "-n", "auto", "--dist", "loadscope", "--max-worker-restart=0")
"""After a crash, pytest-xdist waits for ever with `loadscope` if it starts the process again; so it ends."""


def editable(distribution: Path) -> str:
    """What to install of a distribution: its folder, with those of the development extras that it has."""
    project = nox.project.load_toml(distribution / "pyproject.toml")["project"]
    extras = [extra for extra in DEVELOPMENT_EXTRAS if extra in project.get("optional-dependencies", {})]
    folder = distribution.relative_to(ROOT).as_posix()
    return f"{folder}[{','.join(extras)}]" if extras else folder


def install(session: nox.Session, *groups: str) -> None:
    """Installs all distributions as they are in this folder, and groups of tools, at the tested versions."""
    distributions = [argument for each in DISTRIBUTIONS for argument in ("-e", editable(each))]
    tools = [requirement for group in groups for requirement in GROUPS[group]]
    session.install("-c", "constraints.txt", *distributions, *tools)
    session.install("--no-deps", KERAS_HUB)


# --- Start ---


@nox.session(python=PYTHON)
def quickstart(session: nox.Session) -> None:
    """Draws a dataset, trains a detector on it, measures it and shows what it finds: about four minutes."""
    install(session)
    out = Path(session.posargs[0] if session.posargs else "quickstart")
    started = time.monotonic()
    photos, run, found = out / "photos", out / "run", out / "found"
    session.run("boxwright", "demo", str(photos), "--overwrite")
    session.run("boxwright", "view", f"labelimg:{photos}/train", "--out", str(out / "dataset.png"), "--overwrite")
    for part in ("train", "test"):
        target = f"tfrecord:{out}/{part}.record"
        session.run("boxwright", "convert", f"labelimg:{photos}/{part}", target, "--overwrite")
    test = f"tfrecord:{out}/test.record"
    session.run("boxwright", "train", "--data", f"tfrecord:{out}/train.record", "--out", str(run), "--overwrite")
    session.run("boxwright", "evaluate", str(run), "--data", test)
    session.run("boxwright", "predict", str(run), f"{photos}/test", "--out", str(found), "--overwrite")
    minutes = (time.monotonic() - started) / 60
    results = sorted((run / "evaluation").glob("*.json"), key=os.path.getmtime)
    values = json.loads(results[-1].read_text("utf-8"))["values"]
    session.log(
        f"Done in {minutes:.1f} minutes: AP50 {values['AP50']:.3f}, mAP {values['AP']:.3f} on images it has not seen."
    )
    session.log(f"  the dataset       {out / 'dataset.png'}")
    session.log(f"  what it finds     {found}")
    session.log(f"  the metrics       {results[-1]}")
    session.log(f"  the model         {run}")
    session.log("With photos of your own in PHOTOS/train and PHOTOS/test, type next:")
    session.log(f"  source {Path(session.bin).relative_to(ROOT)}/activate")
    session.log("  boxwright annotate PHOTOS")
    session.log("  boxwright train --data labelimg:PHOTOS/train --val labelimg:PHOTOS/test --out runs/first")
    session.log("  boxwright predict runs/first PHOTOS/test --out found")


# --- Tests ---


def run_tests(session: nox.Session) -> None:
    """Runs every test but the slow ones."""
    install(session, "tests")
    session.run(*PYTEST, *session.posargs)


nox.session(run_tests, name="tests", python=PYTHON)
for python in OTHER_PYTHONS:
    nox.session(run_tests, name=f"tests-{python}", python=python)


@nox.session(python=PYTHON)
def slow(session: nox.Session) -> None:
    """Runs the tests that take long, such as trainings on real photos, but not those of tfod."""
    install(session, "tests")
    session.run("pytest", "-m", "slow and not tfod", *session.posargs)


@nox.session(python=PYTHON)
def tfod(session: nox.Session) -> None:
    """Installs the environment of the TensorFlow Object Detection API, and runs the tests that need it."""
    install(session, "tests")
    session.run("boxwright", "env", "install", "tfod")
    session.run("pytest", "-m", "tfod", *session.posargs)


@nox.session(python=PYTHON)
def peers(session: nox.Session) -> None:
    """Reads with Datumaro and Label Studio's SDK what boxwright writes; they have a separate environment."""
    install(session, "tests")
    python = Path(session.create_tmp(), "bin", "python")
    session.run("uv", "venv", "--allow-existing", str(python.parent.parent), external=True)
    session.run("uv", "pip", "install", "-p", str(python), *PEERS, external=True)
    session.run("pytest", "-m", "slow", "tests/test_peer_readers.py", env={"BOXWRIGHT_PEERS_PYTHON": str(python)})


@nox.session(python=PYTHON)
def template(session: nox.Session) -> None:
    """Creates a plugin of each kind from the template, installs it, and runs its lint, types and tests."""
    kinds = session.posargs or KINDS
    needed = ["packages/boxwright", "packages/boxwright-cli", "packages/boxwright-testing"]
    tools = [*GROUPS["lint"], *GROUPS["types"]]
    refresh = [word for path in needed for word in ("--refresh-package", Path(path).name)]
    session.install(*refresh, "-c", "constraints.txt", *needed, *tools)
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


@nox.session(python=PYTHON)
def coverage(session: nox.Session) -> None:
    """Runs every test but the slow ones, and reports which share of the code they execute."""
    install(session, "tests", "coverage")
    session.run(*PYTEST, "--cov", "--cov-report=term:skip-covered", *session.posargs)


@nox.session(python=PYTHON)
def sanitize(session: nox.Session) -> None:
    """Runs the tests of the compiled functions under AddressSanitizer and UndefinedBehaviorSanitizer; needs gcc."""
    install(session, "tests")
    found = session.run("gcc", "-print-file-name=libasan.so", external=True, silent=True)
    runtime = Path(str(found).strip())
    if not runtime.is_absolute():
        session.error("gcc has no libasan: install it, for example with `apt-get install libasan8`")
    # Compiled apart from the editable build, which every other environment of this checkout shares.
    source = ROOT / "packages" / "boxwright-speedups" / "src" / "boxwright_speedups"
    folder = Path(session.create_tmp()) / "sanitized"
    shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("*.so"), dirs_exist_ok=True)
    include = session.run("python", "-c", "import sysconfig; print(sysconfig.get_path('include'))", silent=True)
    checks = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    macros = ("-DPy_LIMITED_API=0x030B0000", f"-I{str(include).strip()}")
    target = folder / source.name / "_compiled.abi3.so"
    sources = sorted(map(str, source.glob("*.c")))
    session.run("gcc", "-shared", "-fPIC", *checks, *macros, *sources, "-o", str(target), external=True)
    environment = {
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": str(runtime),
        "PYTHONMALLOC": "malloc",  # each object has its own allocation, whose bounds are checked
        "ASAN_OPTIONS": "detect_leaks=0",  # Python releases some objects only at exit; a test measures ours
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    session.run("pytest", "tests/test_speedups.py", "--capture=no", *session.posargs, env=environment)  # shows reports


@nox.session(python=PYTHON)
def bench(session: nox.Session) -> None:
    """Measures speed and memory next to the peers."""
    install(session, "bench")
    session.run("pytest", "tests/benchmarks", "--benchmark-only", *session.posargs)


@nox.session(python=PYTHON)
def fuzz(session: nox.Session) -> None:
    """Reads 20,000 mutated datasets of each format: `nox -s fuzz -- 100000 -k coco` for more of one."""
    install(session, "tests")
    count, *arguments = session.posargs or ["20000"]
    environment = {"BOXWRIGHT_MUTATIONS": count}
    session.run("pytest", "tests/test_mutations.py", "-s", *arguments, env=environment)


# --- Checks ---


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Checks style, format, words, and which package imports which."""
    session.install("-c", "constraints.txt", *GROUPS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "scripts/check_words.py")
    session.run("lint-imports", env={"PYTHONPATH": os.pathsep.join(SOURCES)})


@nox.session(python=PYTHON)
def types(session: nox.Session) -> None:
    """Checks types: of the sources strictly, of each folder of tests without asking for annotations."""
    install(session, "types", "tests", "bench")
    session.run("mypy", *SOURCES)
    for folder in (*(each / "tests" for each in DISTRIBUTIONS), ROOT / "tests", ROOT / "tests" / "benchmarks"):
        if files := sorted(str(path.relative_to(ROOT)) for path in folder.glob("*.py")):
            session.run("mypy", *LENIENT, *files)


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Builds the docs site into site/; a warning is an error."""
    install(session, "docs")
    session.run("zensical", "build", "--strict", "--clean")
    session.run("python", "scripts/check_reference.py")


# --- Releases ---


@nox.session(python=False)
def build(session: nox.Session) -> None:
    """Builds the wheel and the sdist of every distribution into dist/."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    session.run("uv", "build", "--all-packages", "--out-dir", str(WHEELS), external=True)
    (page,) = WHEELS.glob("boxwright_page-*.whl")
    if not any(name.endswith(".wasm.gz") for name in zipfile.ZipFile(page).namelist()):
        session.error(f"{page.name} does not contain ONNX Runtime Web: install Node.js, whose npm downloads it")


@nox.session(python=PYTHON)
def release(session: nox.Session) -> None:
    """Builds and checks every distribution, installs the wheels as the README does and takes the first steps."""
    build(session)
    session.install("-c", "constraints.txt", *GROUPS["release"])
    session.run("twine", "check", "--strict", *sorted(map(str, WHEELS.glob("boxwright*"))))
    folder = Path(session.create_tmp())
    fresh, photos = folder / "fresh", folder / "photos"
    python, boxwright = (str(fresh / Path(session.bin).name / program) for program in ("python", "boxwright"))
    session.run("uv", "venv", "--clear", "--python", PYTHON, str(fresh), external=True)
    refresh = [word for each in DISTRIBUTIONS for word in ("--refresh-package", each.name)]
    options = ["--python", python, *refresh, "-c", "constraints.txt", "--find-links", str(WHEELS)]
    session.run("uv", "pip", "install", *options, "boxwright[train]", external=True)
    for words in (
        ("demo", photos, "--overwrite"),
        ("view", f"labelimg:{photos}/train", "--out", folder / "dataset.png", "--overwrite"),
        ("convert", f"labelimg:{photos}/train", f"tfrecord:{folder}/train.record", "--overwrite"),
        ("info", f"tfrecord:{folder}/train.record"),
    ):
        session.run(boxwright, *map(str, words), external=True)


@nox.session(python=PYTHON)
def version(session: nox.Session) -> None:
    """Sets the version of all distributions, and writes what changed into CHANGELOG.md: `-s version -- 0.2.0`."""
    session.install("-c", "constraints.txt", *GROUPS["release"])
    (new,) = session.posargs
    (old,) = re.findall(r'^__version__ = "(.+)"$', VERSION.read_text("utf-8"), re.MULTILINE)
    VERSION.write_text(VERSION.read_text("utf-8").replace(old, new), "utf-8")
    if series(new) != series(old):
        found = session.run("git", "grep", "-lF", series(old), external=True, silent=True)
        for path in map(Path, str(found).split()):
            path.write_text(path.read_text("utf-8").replace(series(old), series(new)), "utf-8")
    session.run("towncrier", "build", "--yes", "--version", new)


def series(version: str) -> str:
    """The range in which our distributions need each other: every version of the same minor version."""
    major, minor = version.split(".")[:2]
    return f">={major}.{minor},<{major}.{int(minor) + 1}"


@nox.session(python=PYTHON)
def constraints(session: nox.Session) -> None:
    """Resolves constraints.txt: the newest versions that work together."""
    projects = [str(distribution / "pyproject.toml") for distribution in DISTRIBUTIONS]
    groups = [argument for group in GROUPS for argument in ("--group", f"pyproject.toml:{group}")]
    extras = [argument for extra in DEVELOPMENT_EXTRAS for argument in ("--extra", extra)]
    options = ["--universal", "--python-version", PYTHON, *extras, "--no-header", "--no-annotate"]
    private = ["--no-emit-index-url", "--no-emit-find-links"]
    session.run("uv", "pip", "compile", *options, *private, *groups, *projects, "-o", "constraints.txt", external=True)
    # The workspace's own packages are installed from their folders, not pinned.
    lines = Path("constraints.txt").read_text("utf-8").splitlines(keepends=True)
    Path("constraints.txt").write_text("".join(line for line in lines if not line.startswith("-e ")), "utf-8")
