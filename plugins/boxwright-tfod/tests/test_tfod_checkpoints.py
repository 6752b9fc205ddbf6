"""Pretrained checkpoints: found, checked and unpacked, and nothing else with them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from boxwright import DataError, LogReporter, UsageError
from boxwright_tfod import checkpoints
from boxwright_tfod.checkpoints import newest, obtain

NAME = "ssd_toy_320x320_coco17_tpu-8"
ZOO = {
    f"{NAME}/checkpoint/checkpoint": b'model_checkpoint_path: "ckpt-0"\n',
    f"{NAME}/checkpoint/ckpt-0.index": b"index",
    f"{NAME}/checkpoint/ckpt-0.data-00000-of-00001": b"data",
    f"{NAME}/pipeline.config": b"model {}\n",
    f"{NAME}/saved_model/saved_model.pb": b"graph",
    f"{NAME}/saved_model/variables/variables.index": b"other index",
    f"{NAME}/saved_model/variables/variables.data-00000-of-00001": b"other data",
}
"""The content of an archive of the zoo."""

UNPACKED = {"ckpt-0.index": b"index", "ckpt-0.data-00000-of-00001": b"data", "pipeline.config": b"model {}\n"}


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """Packs files, or whole entries, as ``.tar.gz``."""

    def pack(files: dict[str, bytes] = ZOO, *entries: tarfile.TarInfo, name: str = f"{NAME}.tar.gz") -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as tar:
            for inside, content in files.items():
                entry = tarfile.TarInfo(inside)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            for entry in entries:
                tar.addfile(entry)
        return path

    return pack


def take(source: object, folder: Path, sha256: str | None = None) -> Path:
    return obtain(str(source), folder, sha256=sha256, reporter=LogReporter())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestArchive:
    def test_the_checkpoint_and_its_configuration_come_out(self, archive: Callable[..., Path], tmp_path: Path) -> None:
        out = tmp_path / "out"
        assert take(archive(), out) == out / "ckpt-0"
        assert contents(out) == UNPACKED

    def test_a_classifier_of_the_zoo_has_it_at_the_top(self, archive: Callable[..., Path], tmp_path: Path) -> None:
        packed = archive({"resnet/ckpt-1.index": b"i", "resnet/ckpt-1.data-00000-of-00001": b"d"})
        assert take(packed, tmp_path / "out") == tmp_path / "out" / "ckpt-1"

    def test_the_digest_is_held_against_it(self, archive: Callable[..., Path], tmp_path: Path) -> None:
        packed = archive()
        digest = hashlib.sha256(packed.read_bytes()).hexdigest()
        take(packed, tmp_path / "out", digest.upper())
        with pytest.raises(DataError, match=f"its SHA-256 is {digest}, not {'0' * 64}"):
            take(packed, tmp_path / "other", "0" * 64)
        assert not (tmp_path / "other").exists()
        with pytest.raises(UsageError, match="is not a digest"):
            take(packed, tmp_path / "other", "md5:123")

    def test_nothing_goes_where_an_archive_says(self, archive: Callable[..., Path], tmp_path: Path) -> None:
        hostile = {
            "../../escaped.index": b"x",
            "/tmp/boxwright-escaped.index": b"x",
            f"{NAME}/../../../ckpt-0.index": b"index",
            "a/ckpt-0.data-00000-of-00001": b"data",
        }
        out = tmp_path / "deep" / "out"
        assert take(archive(hostile), out) == out / "ckpt-0"
        assert set(contents(out)) == {"ckpt-0.index", "ckpt-0.data-00000-of-00001"}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", f"{NAME}.tar.gz"]
        assert not Path("/tmp/boxwright-escaped.index").exists()

    def test_links_and_devices_are_no_files(self, archive: Callable[..., Path], tmp_path: Path) -> None:
        link = tarfile.TarInfo("a/ckpt-7.index")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        data = tarfile.TarInfo("a/ckpt-7.data-00000-of-00001")
        data.type, data.linkname = tarfile.LNKTYPE, "/etc/passwd"
        pipe = tarfile.TarInfo("a/ckpt-8.index")
        pipe.type = tarfile.FIFOTYPE
        assert take(archive(ZOO, link, data, pipe), tmp_path / "out").name == "ckpt-0"
        assert contents(tmp_path / "out") == UNPACKED

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ({}, "no complete checkpoint"),
            ({"ckpt-0.index": b""}, "no complete checkpoint"),
            ({"saved_model/variables/variables.index": b"", "saved_model/x.data-00000-of-00001": b""}, "no complete"),
            ({"a/ckpt-0.index": b"", "b/ckpt-0.index": b""}, "two files in it have the name ckpt-0.index"),
        ],
    )
    def test_what_is_no_checkpoint(
        self, archive: Callable[..., Path], tmp_path: Path, files: dict[str, bytes], problem: str
    ) -> None:
        with pytest.raises(DataError, match=problem):
            take(archive(files), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00broken"])
    def test_what_is_no_archive(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.tar.gz"
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a complete .tar.gz archive"):
            take(path, tmp_path / "out")

    def test_one_that_was_cut_off(self, archive: Callable[..., Path], tmp_path: Path) -> None:
        path = archive()
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataError, match=str(path)):
            take(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_limits(self, archive: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoints, "_LARGEST", 8)
        with pytest.raises(DataError, match="larger than"):
            take(archive(), tmp_path / "out")
        monkeypatch.undo()
        monkeypatch.setattr(checkpoints, "_MOST_MEMBERS", 3)
        with pytest.raises(DataError, match="more than 3 entries"):
            take(archive(), tmp_path / "out")


class TestFolder:
    @pytest.fixture
    def unpacked(self, tmp_path: Path) -> Path:
        for name, content in ZOO.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / NAME

    @pytest.mark.parametrize("place", ["", "checkpoint", "checkpoint/ckpt-0"])
    def test_a_models_folder_a_checkpoints_or_its_path(self, unpacked: Path, tmp_path: Path, place: str) -> None:
        assert take(unpacked / place, tmp_path / "out") == tmp_path / "out" / "ckpt-0"
        assert contents(tmp_path / "out") == UNPACKED

    @pytest.mark.parametrize("place", ["saved_model", "checkpoint/ckpt", "nowhere", "checkpoint/ckpt-1"])
    def test_what_is_none(self, unpacked: Path, tmp_path: Path, place: str) -> None:
        with pytest.raises(DataError) as caught:
            take(unpacked / place, tmp_path / "out")
        assert str(unpacked / place) in str(caught.value)
        assert "ckpt-0" in caught.value.remedy

    def test_a_folder_has_no_digest(self, unpacked: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="not an archive"):
            take(unpacked, tmp_path / "out", "0" * 64)


def test_the_newest_has_the_highest_number_and_all_its_parts() -> None:
    def files(*prefixes: str) -> list[str]:
        return [f"{p}.{part}" for p in prefixes for part in ("index", "data-00000-of-00001")]

    assert newest(files("ckpt-9", "ckpt-100", "ckpt-10")) == "ckpt-100"
    assert newest([*files("ckpt-9"), "ckpt-10.index", "checkpoint", "pipeline.config"]) == "ckpt-9"
    assert newest(files("model.ckpt")) == "model.ckpt"
    assert newest(["checkpoint", "graph.pbtxt"]) is None


class TestDownload:
    @pytest.fixture
    def served(self, archive: Callable[..., Path]) -> Iterator[tuple[str, list[str], Path]]:
        """The address of a server with one archive, what was asked of it, and the archive."""
        asked: list[str] = []
        packed = archive()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if not self.path.endswith(".tar.gz"):
                    self.send_error(404)
                    return
                content = packed.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) * (2 if "short" in self.path else 1)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/20200711", asked, packed
            server.shutdown()
            thread.join()

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")

    def test_once_for_all_and_said(
        self, served: tuple[str, list[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        address, asked, packed = served
        digest = hashlib.sha256(packed.read_bytes()).hexdigest()
        url = f"{address}/{NAME}.tar.gz"
        with caplog.at_level("INFO", "boxwright"):
            assert take(url, tmp_path / "out", digest).name == "ckpt-0"
        assert f"Downloading {url}" in caplog.text
        assert contents(tmp_path / "out") == UNPACKED
        take(url, tmp_path / "again", digest)
        assert len(asked) == 1

    def test_a_download_that_was_damaged_since_is_found(
        self, served: tuple[str, list[str], Path], tmp_path: Path
    ) -> None:
        address, _, packed = served
        digest = hashlib.sha256(packed.read_bytes()).hexdigest()
        take(f"{address}/a.tar.gz", tmp_path / "out", digest)
        (kept,) = (tmp_path / "home" / "downloads").glob("*.tar.gz")
        kept.write_bytes(b"something else")
        with pytest.raises(DataError, match="its SHA-256 is"):
            take(f"{address}/a.tar.gz", tmp_path / "out", digest)

    def test_another_digest_keeps_nothing(self, served: tuple[str, list[str], Path], tmp_path: Path) -> None:
        with pytest.raises(DataError, match="its SHA-256 is"):
            take(f"{served[0]}/a.tar.gz", tmp_path / "out", "0" * 64)
        assert list((tmp_path / "home").rglob("*.*")) == []

    @pytest.mark.parametrize(
        ("name", "problem"), [("missing.zip", "cannot be downloaded"), ("short.tar.gz", "of .* bytes were received")]
    )
    def test_what_does_not_come_whole(
        self, served: tuple[str, list[str], Path], tmp_path: Path, name: str, problem: str
    ) -> None:
        with pytest.raises(DataError, match=problem):
            take(f"{served[0]}/{name}", tmp_path / "out", "0" * 64)
        assert list((tmp_path / "home").rglob("*.*")) == []

    def test_what_can_be_changed_on_its_way_needs_a_digest(
        self, served: tuple[str, list[str], Path], tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match="tampered with"):
            take(f"{served[0]}/a.tar.gz", tmp_path / "out")
        with pytest.raises(UsageError, match="tampered with"):
            take("ftp://example.org/a.tar.gz", tmp_path / "out", "0" * 64)
        assert served[1] == []
