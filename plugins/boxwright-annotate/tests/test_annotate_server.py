"""Only the page can talk to the server, and only about the images of the dataset."""

from __future__ import annotations

import io
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright.annotation import AnnotationSession, ConflictError, Drawn, relabeled
from boxwright_annotate import app
from boxwright_annotate.pixels import Pixels
from boxwright_testing import drawn_samples

pytest.importorskip("boxwright_voc", reason="the format labelimg")

Start = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    drawn_samples(tmp_path / "photos", 3)
    return tmp_path / "photos"


def test_requests_from_elsewhere_are_refused(photos: Path, start: Start) -> None:
    page = start(str(photos))
    own, inside = {"Content_Type": "application/json"}, f"/{page.token}/"
    host = f"127.0.0.1:{page.port}"
    assert page.ask("GET", inside).status == 200
    assert page.ask("GET", inside, Host=f"localhost:{page.port}").status == 200
    assert page.call("dataset", Origin=f"http://{host}", Sec_Fetch_Site="same-origin").status == 200
    refused = [
        page.ask("GET", "/"),
        page.ask("GET", "/pixels/0"),
        page.ask("GET", f"/{page.token[:-1]}/"),
        page.ask("GET", f"/{page.token}"),
        page.ask("GET", inside, Host="evil.example"),
        page.ask("GET", inside, Host=f"evil.example:{page.port}"),
        page.ask("GET", inside, Host="127.0.0.1"),
        page.ask("GET", inside, Origin="http://evil.example"),
        page.ask("GET", inside, Origin="null"),
        page.ask("GET", inside, Sec_Fetch_Site="cross-site"),
        page.ask("GET", inside, Sec_Fetch_Site="same-site"),
        page.ask("POST", f"{inside}api/dataset", b"{}", Content_Type="text/plain"),
        page.ask("POST", f"{inside}api/dataset", b"{}", Content_Type="application/x-www-form-urlencoded"),
        page.ask("POST", "/api/dataset", b"{}", **own),
        page.call("dataset", Origin="http://evil.example"),
        page.call("dataset", Origin=f"http://127.0.0.1:{page.port + 1}"),
    ]
    assert [answer.status for answer in refused] == [403] * len(refused)
    assert not any(b"0-000" in answer.body for answer in refused)


def test_the_server_listens_only_on_the_loopback_interface(photos: Path, start: Start) -> None:
    page = start(str(photos))
    listening = Path("/proc/net/tcp")
    if not listening.is_file():
        pytest.skip("needs /proc")
    rows = [line.split() for line in listening.read_text().splitlines()[1:]]
    own = [row[1] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == page.port]
    assert [address.partition(":")[0] for address in own] == ["0100007F"]


def test_every_answer_restricts_what_the_page_may_load(photos: Path, start: Start) -> None:
    page = start(str(photos))
    html = page.ask("GET", f"/{page.token}/")
    names = re.findall(r'(?:src|href)="([\w.]+)"', html.body.decode())
    assert len(names) >= 3
    for answer in (
        html,
        page.ask("GET", "/"),
        page.call("dataset"),
        *(page.ask("GET", f"/{page.token}/{n}") for n in names),
    ):
        rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
        assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_no_script_makes_html_of_text() -> None:
    import boxwright_annotate

    static = Path(boxwright_annotate.__file__).parent / "static"
    scripts = [path.read_text("utf-8") for path in static.glob("*.js")]
    assert len(scripts) >= 4
    for text in scripts:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
        assert not re.search(r"https?://(?!www\.w3\.org)", text)


def test_no_other_file_is_served(photos: Path, start: Start) -> None:
    page = start(str(photos))
    paths = [
        "..%2f..%2fetc%2fpasswd",
        "../app.py",
        "%2e%2e/app.py",
        "/etc/passwd",
        "app.py",
        "pixels/..%2f",
        "pixels/-1",
    ]
    for path in (*paths, "pixels/0-000.png", "pixels/3"):
        assert page.ask("GET", f"/{page.token}/{path}").status in (403, 404), path


def test_an_image_behind_a_link_out_of_the_dataset_is_not_served(photos: Path, start: Start, tmp_path: Path) -> None:
    page = start(str(photos))
    secret = tmp_path / "secret.png"
    Image.new("RGB", (64, 64), "red").save(secret)
    (photos / "0-000.png").unlink()
    (photos / "0-000.png").symlink_to(secret)
    answer = page.ask("GET", f"/{page.token}/pixels/0")
    assert (answer.status, "link" in answer.json["problem"]) == (422, True)


def test_large_and_malformed_requests_are_answered(photos: Path, start: Start) -> None:
    page = start(str(photos))
    row = ["fig", 1, 2, 30, 40, None]
    bad: list[tuple[str, Any, int]] = [
        ("edit", {"image": 0, "revision": 0, "boxes": [row] * 10_001}, 422),
        ("edit", {"image": 0, "revision": 1, "boxes": []}, 409),
        ("edit", {"image": 3, "revision": 0, "boxes": []}, 400),
        ("edit", {"image": -1, "revision": 0, "boxes": []}, 400),
        ("edit", {"image": True, "revision": 0, "boxes": []}, 400),
        ("edit", {"image": 0, "revision": 0, "boxes": [["fig", "x", 2, 3, 4, None]]}, 400),
        ("edit", {"image": 0, "revision": 0, "boxes": [["fig", 1, 2, 3]]}, 400),
        ("edit", {"image": 0, "revision": 0, "boxes": [[7, 1, 2, 3, 4, None]]}, 422),
        ("edit", {"image": 0}, 400),
        ("class", {"name": ["x"]}, 422),
        ("none", {}, 404),
    ]
    assert [page.call(name, body).status for name, body, _ in bad] == [status for _, _, status in bad]
    own = {"Content_Type": "application/json"}
    assert page.ask("POST", f"/{page.token}/api/edit", b"[" * 100_000, **own).status == 400
    assert page.ask("POST", f"/{page.token}/api/edit", b"[1]", **own).status == 400
    assert page.ask("POST", f"/{page.token}/api/edit", b" " * (5 << 20), **own).status == 413
    assert page.call("dataset").json["images"][0]["labels"] == {}
    assert page.call("edit", {"image": 0, "revision": 0, "boxes": [row]}).status == 200


def test_an_image_has_the_orientation_and_size_that_its_boxes_refer_to(tmp_path: Path, start: Start) -> None:
    """Red is at the left of the stored pixels, and EXIF 6 turns them clockwise (EXIF 2.32, tag 0x0112)."""
    image = Image.new("RGB", (400, 200), "blue")
    image.paste("red", (0, 0, 100, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    page = start(str(tmp_path))
    row = page.call("dataset").json["images"][0]
    assert (row["width"], row["height"]) == (200, 400)
    for query, size in (("", (200, 400)), ("?side=100", (50, 100)), ("?part=0,0,200,100", (200, 100))):
        with Image.open(io.BytesIO(page.ask("GET", f"/{page.token}/pixels/0{query}").body)) as shown:
            assert shown.size == size
            assert shown.getexif().get(0x0112, 1) == 1
            red, _, blue = np.asarray(shown.convert("RGB"))[size[1] // 16, size[0] // 2]
            assert red > 200 > 60 > blue


@pytest.mark.slow
def test_ten_thousand_images_take_less_than_300_mb(tmp_path: Path, start: Start) -> None:
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("needs /proc")
    boxwright.convert(boxwright.from_samples(drawn_samples(tmp_path / "s", 1)), f"labelimg:{tmp_path / 'one'}")
    xml = (tmp_path / "one/0-000.xml").read_text("utf-8")
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(10_000):
        (folder / f"{number:05}.png").hardlink_to(tmp_path / "one/0-000.png")
        (folder / f"{number:05}.xml").write_text(xml.replace("0-000", f"{number:05}"), "utf-8")
    page = start(f"labelimg:{folder}")
    assert len(page.call("dataset").json["images"]) == 10_000
    for image in range(0, 10_000, 100):
        assert page.ask("GET", f"/{page.token}/pixels/{image}?side=240").status == 200
    lines = Path(f"/proc/{page.process.pid}/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    assert peak < 300_000


def test_ctrl_c_keeps_edits_that_are_not_saved(photos: Path, start: Start) -> None:
    page = start(str(photos))
    page.call("edit", {"image": 1, "revision": 0, "boxes": [["fig", 1, 2, 30, 40, None]]})
    assert page.end(signal.SIGINT) in (0, 130)
    assert "1 image with edits that are not saved" in page.printed
    assert not list(photos.glob("*.xml"))
    page = start(str(photos))
    assert page.call("dataset").json["recovered"] == 1
    assert page.call("save").json["saved"] == 1
    assert [path.name for path in photos.glob("*.xml")] == ["0-001.xml"]
    page.end(signal.SIGTERM)
    assert not [name for name in os.listdir(photos) if name.startswith(".")]


@pytest.mark.parametrize("factor", [1, 2])
def test_boxes_of_stored_pixels_are_shown_on_these(tmp_path: Path, factor: int) -> None:
    """Red is at the left of the stored pixels; the sizes of the annotation are those of it, or twice them."""
    image = Image.new("RGB", (400, 200), "blue")
    image.paste("red", (0, 0, 100, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    with AnnotationSession(str(tmp_path)) as session:
        old = session.samples[0]
        size = {"width": 400 * factor, "height": 200 * factor}
        session.samples[0] = old.replace(image=old.image.model_copy(update=size))
        content, _ = Pixels(session).image(0, 0)
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.size == (400, 200)
        red, _, blue = np.asarray(shown.convert("RGB"))[100, 20]
        assert red > 200 > 60 > blue


def test_an_edit_during_one_of_many_images_is_kept_or_refused(photos: Path, monkeypatch: Any) -> None:
    with AnnotationSession(str(photos)) as session:
        session.edit(0, [Drawn("fig", (1, 2, 30, 40))], revision=0)
        refused: list[str] = []

        def edit() -> None:
            try:
                session.edit(0, [Drawn("fig", (1, 2, 30, 40), 0), Drawn("date", (1, 2, 9, 9))], revision=1)
            except ConflictError as error:
                refused.append(error.message)

        other = threading.Thread(target=edit)

        def slow(*arguments: Any) -> Any:
            changed = relabeled(*arguments)
            other.start()
            other.join(0.3)
            return changed

        monkeypatch.setattr(app, "relabeled", slow)
        app.Api(session, lambda: None).bulk({"images": [0], "label": "fig", "to": "nut", "preview": False})
        other.join()
        assert "nut" in session.samples[0].boxes.labels
        assert refused or "date" in session.samples[0].boxes.labels


def test_an_edit_of_many_images_to_no_class_deletes_nothing(photos: Path, start: Start) -> None:
    page = start(str(photos))
    page.call("edit", {"image": 0, "revision": 0, "boxes": [["fig", 1, 2, 30, 40, None]]})
    answer = page.call("bulk", {"images": [0, 1], "label": "fig", "to": "", "side": 0, "preview": False})
    assert answer.status == 422
    assert page.call("dataset").json["images"][0]["labels"] == {"fig": 1}
