"""Pages of a network whose scores are the pixels of its input: what the page computes, and what it shows."""

from __future__ import annotations

import gzip
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper

from boxwright import BoxwrightError, DataError, ImageRef, LabelMap, MissingLibraryError, RunError, Sample, UsageError
from boxwright.models import DecoderSettings, InputSettings, Network, PortableModel, trust_models, write_settings
from boxwright_page import exporter as exporter_module, runtime
from boxwright_page.convert import page
from boxwright_page.exporter import PageExporter

INPUTS = InputSettings(32, 16, oversample=1.5)
LABELS = ["</script><img src=x onerror=alert(1)>", "<b>bold</b> & 'quoted'", "苹果\u2028\u202e"]
DECODER = DecoderSettings(0.01, iou_threshold=(0.5, 0.3, 0.6), max_detections=2000, pre_nms=4000)
OTHERS = 200
"""Anchors that overlap, in addition to one for each pixel."""


def pixels_network() -> bytes:
    """ONNX: a box of 1x1 for each pixel, whose scores are red, green and blue, and boxes at random.

    The scores of the latter are 0 to 1 times the mean red, green and blue.
    """
    random = np.random.default_rng(5)
    y, x = np.mgrid[0 : INPUTS.height, 0 : INPUTS.width].reshape(2, -1)
    corners = random.uniform(0, 1, (OTHERS, 2)) * (26, 12)
    others = np.concatenate([corners, corners + random.uniform(3, 9, (OTHERS, 2))], axis=1)
    boxes = np.concatenate([np.stack([x, y, x + 1, y + 1], axis=1), others])[None].astype(np.float32)
    constants = {
        "all_boxes": boxes,
        "white": np.float32(255),
        "rows": np.array([1, -1, 3], np.int64),
        "factors": random.uniform(0, 1, (1, OTHERS, 1)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Div", ["images", "white"], ["parts"]),
            helper.make_node("Reshape", ["parts", "rows"], ["pixels"]),
            helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1]),
            helper.make_node("Mul", ["means", "factors"], ["other"]),
            helper.make_node("Concat", ["pixels", "other"], ["scores"], axis=1),
            helper.make_node("Identity", ["all_boxes"], ["boxes"]),
        ],
        "pixels",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, INPUTS.height, INPUTS.width, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("boxes", "scores")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("page"), DECODER)


def made(folder: Path, decoder: DecoderSettings, inputs: InputSettings = INPUTS) -> Path:
    try:
        files = runtime.runtime_files()
    except BoxwrightError as error:  # neither in this installation nor from npm
        pytest.skip(str(error))
    network = Network(folder, inputs, decoder, LabelMap.from_names(LABELS, sort=False))
    write_settings(network, folder)
    (folder / "detector.html").write_text(page(network, pixels_network(), files), "utf-8", newline="")
    return folder / "detector.html"


@pytest.fixture(scope="module")
def in_browser(artifact: Path) -> Any:
    missing = exporter_module._missing()
    if missing is not None:
        pytest.skip(str(missing))
    with trust_models():
        return PageExporter().load(artifact, "BROWSER")


def test_a_page_of_a_stranger_runs_in_no_browser(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter_module, "_missing", lambda: pytest.fail("a browser was searched"))
    assert type(PageExporter().load(artifact)) is PortableModel
    with pytest.raises(DataError, match="--trust-model"):
        PageExporter().load(artifact, "BROWSER")


def image(width: int, height: int, kind: str = "PNG", mode: str = "RGB", orientation: int = 1) -> Sample:
    """Returns an image of random pixels, with blocks of one color that a JPEG keeps."""
    size = 8 if kind == "JPEG" else 1
    random = np.random.default_rng(width)
    pixels = random.integers(0, 256, (-(-height // size), -(-width // size), len(mode)), np.uint8)
    pixels = pixels.repeat(size, axis=0).repeat(size, axis=1)[:height, :width]
    buffer, drawn = io.BytesIO(), Image.fromarray(pixels, mode)
    exif = drawn.getexif()
    exif[0x0112] = orientation
    drawn.save(buffer, kind, **({"quality": 95, "subsampling": 0, "exif": exif} if kind == "JPEG" else {}))
    upright = (width, height) if orientation < 5 else (height, width)
    return Sample(image=ImageRef(name=f"a.{kind}", width=upright[0], height=upright[1], data=buffer.getvalue()))


IMAGES = {
    "of the size of the input": (image(32, 16), 1e-5),
    "smaller": (image(20, 13), 1e-5),
    "a little larger, with another aspect ratio": (image(61, 30), 1e-5),
    "much larger: blocks are averaged first": (image(700, 411), 1e-5),
    "a single row": (image(50, 1), 1e-5),
    "partly transparent": (image(50, 40, mode="RGBA"), 0.005),  # browsers multiply colors by alpha
    "JPEG that is decoded at a quarter of its size": (image(320, 160, "JPEG"), 0.01),
    "JPEG that is stored rotated": (image(160, 320, "JPEG", orientation=6), 0.01),
    "in a format that browsers do not decode": (image(70, 40, "TIFF"), 1e-5),
}


def test_a_page_computes_what_python_computes(artifact: Path, in_browser: Any) -> None:
    compare(PageExporter().load(artifact, "CPU"), in_browser)
    (best,) = in_browser.predict([IMAGES["smaller"][0]], score=0.9)
    assert 0 < len(best.boxes) < 300
    assert min(best.scores) >= 0.9
    broken = Sample(image=ImageRef(name="b.png", width=32, height=16, data=image(32, 16).image.read()[:-40]))
    with pytest.raises(BoxwrightError):
        list(in_browser.predict([broken]))


@pytest.mark.usefixtures("in_browser")
def test_a_page_computes_what_the_object_detection_api_computes(tmp_path: Path) -> None:
    """It stretches images without averaging, and clips boxes after the suppression."""
    decoder, inputs = replace(DECODER, clips_first=False), replace(INPUTS, resize="bilinear")
    page_of_api = made(tmp_path, decoder, inputs)
    with trust_models():
        compare(PageExporter().load(page_of_api, "CPU"), PageExporter().load(page_of_api, "BROWSER"))


def compare(in_python: Any, in_browser: Any) -> None:
    """Each detection is one color of one pixel of the input, or one of the boxes that overlap."""
    for name, (sample, tolerance) in IMAGES.items():
        (expected,), (found,) = (list(model.predict([sample])) for model in (in_python, in_browser))
        assert 900 < len(expected.boxes) < 3 * (32 * 16 + OTHERS), "some are suppressed"
        scale = np.array([sample.image.width / 32, sample.image.height / 16] * 2)
        one, two = (
            {
                (label, *np.round(box / scale, 2)): score
                for label, box, score in zip(each.boxes.labels, each.boxes.xyxy, each.scores, strict=True)
            }
            for each in (expected, found)
        )
        far = [key for key, score in one.items() if abs(two.get(key, 0) - score) > tolerance]
        allowed = 0 if tolerance < 1e-4 else 0.02 * len(one)  # where scores are equal, either box may be suppressed
        assert len(far) + len(two.keys() - one.keys()) <= allowed, (
            f"{name}: {[(k, one[k], two.get(k)) for k in far[:5]]}"
        )
        assert list(found.scores) == sorted(found.scores, reverse=True)


@pytest.mark.usefixtures("in_browser")
def test_a_page_shows_labels_as_text_and_loads_nothing(tmp_path: Path) -> None:
    """Opened from disk without network, as a user does: a photo, the slider, the results; on a narrow screen.

    Here detections of all classes suppress each other.
    """
    from boxwright_page.browser import call, open_page

    artifact = made(tmp_path, replace(DECODER, suppression="all", iou_threshold=0.4, score=0.25))
    sample = image(20, 13)
    (tmp_path / "<i>photo.png").write_bytes(sample.image.read())

    def use() -> Any:
        seen: list[str] = []
        shown = open_page(artifact, viewport={"width": 375, "height": 700}, color_scheme="dark")
        shown.on("dialog", lambda dialog: seen.append(dialog.message))
        shown.on("console", lambda message: seen.append(message.text))
        shown.on("request", lambda request: seen.append(request.url))
        shown.evaluate("ready")
        shown.set_input_files("#file", str(tmp_path / "<i>photo.png"))
        shown.wait_for_selector("body.filled")
        texts = {name: shown.text_content(f"#{name}") for name in ("counts", "json", "status")}
        width = shown.evaluate("document.documentElement.scrollWidth")
        elements = shown.evaluate("[...document.querySelectorAll('b, i, img')].length")
        painted = shown.evaluate(
            "part('canvas').getContext('2d').getImageData(0, 0, 9, 9).data.some((value) => value !== 0)"
        )
        shown.evaluate("part('score').value = 99; part('score').oninput()")
        none = shown.text_content("#json")
        shown.set_input_files("#file", str(artifact.parent / "labels.txt"))
        shown.wait_for_selector("#status.wrong")
        wrong = shown.text_content("#status")
        shown.context.close()
        return texts, width, elements, painted, none, wrong, [each for each in seen if not each.startswith("blob:")]

    texts, width, elements, painted, none, wrong, seen = call(use)
    assert seen == [], "no request, no message of the content security policy, no dialog"
    assert elements == 0
    assert width <= 375
    assert painted
    for label in LABELS:
        assert label in texts["counts"]
    result = json.loads(texts["json"])
    (expected,) = PageExporter().load(artifact, "CPU").predict([sample], score=0.25)
    assert result["score"] == 0.25
    assert (result["image"], result["width"], result["height"]) == ("<i>photo.png", 20, 13)
    assert [each["label"] for each in result["detections"]] == list(expected.boxes.labels)
    assert [each["score"] for each in result["detections"]] == pytest.approx(expected.scores, abs=1e-4)
    assert "<i>photo.png" in texts["status"]
    assert len(json.loads(none)["detections"]) < 20
    assert "labels.txt" in wrong


def test_the_source_of_a_page(artifact: Path) -> None:
    """It names no address, contains the license, and fits on a phone: the runtime takes 4.9 MB."""
    text = artifact.read_text("utf-8")
    assert len(text) < 5_100_000
    plain = re.sub(r"[A-Za-z0-9+/=]{2000,}", "", text)
    assert not re.search(r"https?://", plain)
    assert "Copyright (c) Microsoft Corporation" in plain
    assert plain.count("</script>") == plain.count("<script") == 6, "no label ends a script"
    assert "innerHTML" not in plain
    settings = json.loads(plain.partition('id="settings">')[2].partition("</script>")[0])
    assert settings["labels"] == LABELS


def test_without_a_browser_an_export_is_not_called_checked(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network is, and the reason is kept for the report, the manifest and the README."""
    monkeypatch.setattr(exporter_module, "find_spec", lambda name: None)
    exporter = PageExporter()
    exporter._own = artifact
    model = exporter.load(artifact)
    assert "the page itself: the driver of browsers is not installed" in exporter.unchecked
    (found,) = model.predict([image(32, 16)], score=0.5)
    assert found.boxes
    exporter.load(artifact, "CPU")
    assert exporter.unchecked == ""
    with pytest.raises(MissingLibraryError, match="driver of browsers"):
        exporter.load(artifact, "BROWSER")
    pytest.importorskip("playwright")
    monkeypatch.undo()
    monkeypatch.setattr("boxwright_page.browser.find_browser", lambda: None)
    with pytest.raises(UsageError, match="no Chromium"):
        exporter.load(artifact, "BROWSER")


def test_the_runtime_is_kept_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an archive of npm, once; a file that was changed is an error that names it."""
    contents = {name: name.encode() * 5 for name in runtime.FILES}
    digests = {name: runtime.hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path))
    monkeypatch.setattr(runtime, "PACKAGED", tmp_path / "packaged")
    monkeypatch.setattr(runtime, "FILES", digests)
    asked = []

    def archive(package: str, folder: Path, otherwise: str) -> Path:
        asked.append(package)
        with runtime.tarfile.open(folder / "a.tgz", "w:gz") as tar:
            for name, content in contents.items():
                info = runtime.tarfile.TarInfo(f"package/dist/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return folder / "a.tgz"

    monkeypatch.setattr(runtime, "npm_archive", archive)
    for _ in range(2):
        found = runtime.runtime_files()
        assert {name: gzip.decompress(content) for name, content in found.items()} == contents
    assert asked == [runtime.PACKAGE]
    (path,) = tmp_path.rglob("*.wasm.gz")
    path.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(BoxwrightError, match="wasm.gz"):
        runtime.runtime_files()


def test_a_damaged_page_is_an_error(artifact: Path, tmp_path: Path) -> None:
    for path in artifact.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = artifact.read_text("utf-8")
    (tmp_path / "detector.html").write_text(text.replace('id="model">', 'id="model">AAAA'), "utf-8")
    with pytest.raises(RunError, match=r"detector\.html cannot be run"):
        PageExporter().load(tmp_path / "detector.html", "CPU")
