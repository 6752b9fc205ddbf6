"""``.tflite`` files as models: files that TensorFlow's own converter wrote, images that TensorFlow resizes."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

import tensorflow as tf

import boxwright
from boxwright import DataError, LabelMap, RunError
from boxwright.models import resize_bilinear
from boxwright_tf import tflite_metadata
from boxwright_tf.tflite_metadata import Metadata
from boxwright_tfod.exporters import TFLiteExporter
from boxwright_tfod.recognise import tflite as recognised
from boxwright_tfod.tflite import File, TFLiteDetector, labels_of, padded, within

pytestmark = pytest.mark.tensorflow

CLASSES = LabelMap.from_names(["date", "fig", "nut"])
SIDE = 8
BOX = (0.1, 0.2, 0.5, 0.6)
"""The anchor of the model below, ymin xmin ymax xmax: what it finds is this box."""

ATTRIBUTES = {
    "max_detections": "i: 4",
    "max_classes_per_detection": "i: 1",
    "use_regular_nms": "b: true",
    "nms_score_threshold": "f: 0.0",
    "nms_iou_threshold": "f: 0.6",
    "y_scale": "f: 10.0",
    "x_scale": "f: 10.0",
    "h_scale": "f: 5.0",
    "w_scale": "f: 5.0",
    "num_classes": "i: 3",
}
IMPLEMENTS = 'name: "TFLite_Detection_PostProcess"' + "".join(
    f' attr {{ key: "{key}" value {{ {value} }} }}' for key, value in ATTRIBUTES.items()
)


class Toy(tf.Module):
    """An SSD of one anchor, whose scores are the input itself: of its first pixel, red, green and blue."""

    @tf.function(experimental_implements=IMPLEMENTS)
    def postprocess(self, encodings: Any, scores: Any, anchors: Any) -> Any:
        return tuple(tf.constant(0.0, name=name) for name in ("boxes", "classes", "scores", "number"))

    @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32, name="input")])
    def detect(self, image: Any) -> Any:
        top, left, bottom, right = BOX
        anchor = tf.constant([[(top + bottom) / 2, (left + right) / 2, bottom - top, right - left]])
        return self.postprocess(tf.zeros((1, 1, 4)), image[:, :1, 0, :], anchor)[::-1]


def convert(module: Any, folder: Path) -> bytes:
    tf.saved_model.save(module, str(folder), signatures=module.detect.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.allow_custom_ops = True
    return bytes(converter.convert())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What TensorFlow's converter makes of the toy: no label, no word of normalisation."""
    return convert(Toy(), tmp_path_factory.mktemp("toy") / "saved_model")


@pytest.fixture
def model(bare: bytes, tmp_path: Path) -> Callable[..., Path]:
    """Writes the toy with metadata."""

    def write(**metadata: Any) -> Path:
        place = tmp_path / "model.tflite"
        place.write_bytes(bare)
        if metadata:
            usual: dict[str, Any] = {"mean": [127.5] * 3, "std": [127.5] * 3, "labels": labels_of(CLASSES)}
            place.write_bytes(File(place).with_metadata(Metadata(**usual | metadata)))
        return place

    return write


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image of 200x100 in one color."""
    Image.new("RGB", (200, 100), (153, 230, 178)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_it_is_a_model(model: Callable[..., Path], photo: Path) -> None:
    """The scores are (pixel - mean) / std of the three channels, worked out by hand; the box is the anchor.

    All three classes are found, of which LiteRT loses the third when it has two threads.
    """
    (found,) = boxwright.predict(model(mean=[51.0, 77.0, 101.0], std=[204.0, 170.0, 110.0]), photo).detections
    assert found.boxes.labels == ("fig", "nut", "date")
    assert found.scores == pytest.approx((0.9, 0.7, 0.5), abs=1e-6)
    for edges in found.boxes.coordinates:
        assert edges == pytest.approx((40, 10, 120, 50), abs=1e-4)


def test_it_needs_no_tensorflow(model: Callable[..., Path], photo: Path) -> None:
    """In a process that cannot import it, which detects the same in an image that every library decodes alike."""
    place = model(labels=labels_of(CLASSES))
    code = (
        "import sys; sys.modules['tensorflow'] = None; import boxwright\n"
        "import boxwright_tfod.tflite as lite; lite.find_spec = lambda name: None\n"
        f"(found,) = boxwright.predict({str(place)!r}, {str(photo)!r}).detections; print(*found.boxes.labels)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["fig", "nut"], done.stderr


def test_a_file_from_years_ago(
    model: Callable[..., Path], photo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = model()
    with pytest.raises(DataError, match=r"only class ids[\s\S]*--label-map"):
        boxwright.predict(place, photo)
    (tmp_path / "labelmap.txt").write_text("???\ndate\nfig\nnut\n")
    (found,) = boxwright.predict(place, photo).detections
    assert found.boxes.labels == ("fig", "nut")  # the third is below 0.3
    assert found.scores == pytest.approx((230 / 127.5 - 1, 178 / 127.5 - 1), abs=1e-6)
    assert "model.tflite does not define how to normalize pixels; using (pixel - 127.5) / 127.5" in caplog.text
    (tmp_path / "label_map.pbtxt").write_text(
        "item { id: 1 name: 'a' } item { id: 2 name: 'b' } item { id: 3 name: 'c' }"
    )
    (found,) = boxwright.predict(place, photo).detections
    assert found.boxes.labels == ("b", "c")
    given = LabelMap.from_names(["x", "y", "z"])
    (found,) = boxwright.predict(place, photo, label_map=given).detections
    assert found.boxes.labels == ("y", "z")


def test_a_label_map_with_gaps(model: Callable[..., Path], photo: Path) -> None:
    gaps = LabelMap.from_pbtxt("item { id: 1 name: 'one' } item { id: 3 name: 'three' }")
    assert labels_of(gaps) == ["one", "???", "three"]
    loaded = boxwright.load_model(model(labels=labels_of(gaps)))
    assert {item.id: item.name for item in loaded.label_map.items} == {1: "one", 3: "three"}


def test_what_it_says_is_read_again(model: Callable[..., Path]) -> None:
    said = {"min_dimension": 5, "max_dimension": SIDE, "pad": [0.0, -1.0, 0.5]}
    place = model(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], labels=["ä", "b c"], resizer=said)
    assert File(place).metadata == Metadata([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], ["ä", "b c"], said)
    with zipfile.ZipFile(place) as archive:  # as everybody who knows TFLite Metadata finds the labels
        assert archive.read("labels.txt").decode() == "ä\nb c\n"
    # TensorFlow's own interpreter still takes the file, with a flatbuffer in front and a zip archive behind it.
    assert place.read_bytes()[4:8] == b"TFL3"


def test_the_same_metadata_give_the_same_file(model: Callable[..., Path]) -> None:
    assert model(resizer={}).read_bytes() == model(resizer={}).read_bytes()


class TestPixels:
    @pytest.mark.parametrize(("old", "new"), [((600, 800), (320, 320)), ((7, 3), (10, 12)), ((64, 64), (64, 64))])
    def test_resizing_is_tensorflows(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        pixels = np.random.default_rng(3).integers(0, 256, (*old, 3), dtype=np.uint8)
        expected = tf.compat.v1.image.resize_bilinear(pixels[None].astype(np.float32), new)[0].numpy()
        assert resize_bilinear(pixels, new) == pytest.approx(expected, abs=1e-3)

    @pytest.mark.parametrize("old", [(600, 800), (800, 600), (333, 1000), (1000, 333), (512, 512), (30, 20)])
    @pytest.mark.parametrize(("shortest", "longest"), [(512, 512), (300, 640)])
    def test_the_size_within_is_tensorflows(self, old: tuple[int, int], shortest: int, longest: int) -> None:
        most = (shortest, longest) if old[0] < old[1] else (longest, shortest)
        image = tf.zeros((*old, 1))
        expected = tf.compat.v1.image.resize_images(image, most, preserve_aspect_ratio=True).shape[:2]
        assert within(old, shortest, longest) == tuple(expected)

    def test_padding_is_below_and_to_the_right(self) -> None:
        whole = padded(np.ones((1, 2, 3), np.float32), (2, 3), [0.0, -1.0, 0.5])
        assert whole[0, :2].tolist() == [[1, 1, 1], [1, 1, 1]]
        assert whole[0, 2].tolist() == whole[1, 0].tolist() == [0.0, -1.0, 0.5]

    def test_boxes_of_a_padded_image(self, model: Callable[..., Path], photo: Path) -> None:
        """An image twice as wide as high fills the upper half: its relative heights are twice those of the input."""
        said = {"min_dimension": SIDE, "max_dimension": SIDE, "pad": [0.0, 0.0, 0.0]}
        found = boxwright.predict(model(resizer=said), photo).detections[0]
        assert found.boxes.coordinates[0] == pytest.approx((40, 20, 120, 100), abs=1e-4)

    def test_whole_numbers_as_input(self, tmp_path: Path, photo: Path) -> None:
        """The first generation's quantised models take bytes; scale and zero say what they stand for."""

        class Quantised(Toy):
            @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32, name="input")])
            def detect(self, image: Any) -> Any:
                return super().detect(tf.quantization.fake_quant_with_min_max_args(image, -1.0, 1.0))

        module = Quantised()
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.detect.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
        converter.allow_custom_ops = True
        converter.inference_input_type = tf.uint8
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        rng = np.random.default_rng(1)
        converter.representative_dataset = lambda: (
            [rng.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)] for _ in range(20)
        )
        place = tmp_path / "quantised.tflite"
        place.write_bytes(converter.convert())
        images = boxwright.open(boxwright.DatasetURI(str(photo), "pictures"))
        (found,) = TFLiteExporter().load(place, CLASSES).predict(images, score=0.3)
        assert found.boxes.labels == ("fig", "nut")
        assert found.scores == pytest.approx((230 / 127.5 - 1, 178 / 127.5 - 1), abs=0.02)


class TestBadInput:
    def test_another_file(self, tmp_path: Path, photo: Path) -> None:
        other = tmp_path / "other.tflite"
        other.write_bytes(b"not a model at all")
        with pytest.raises(DataError, match="not a TensorFlow Lite model"):
            File(other)
        with pytest.raises(DataError, match="No such file"):
            File(tmp_path / "nowhere.tflite")
        with pytest.raises(RunError, match=r"tfod-tflite: it does not begin like a \.tflite file"):
            boxwright.predict(other, photo)

    def test_another_model(self, tmp_path: Path, photo: Path) -> None:
        class Doubler(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
            def detect(self, values: Any) -> Any:
                return values * 2.0

        other = tmp_path / "doubler.tflite"
        other.write_bytes(convert(Doubler(), tmp_path / "doubler"))
        with pytest.raises(DataError, match="it has no TFLite_Detection_PostProcess"):
            File(other)
        with pytest.raises(RunError, match=r"TensorFlow Lite model without TFLite_Detection_PostProcess"):
            boxwright.predict(other, photo)

    def test_cut_off_anywhere(self, bare: bytes, tmp_path: Path) -> None:
        place = tmp_path / "cut.tflite"
        for length in range(8, len(bare), 41):
            place.write_bytes(bare[:length])
            with pytest.raises(DataError):
                File(place)

    def test_damaged_anywhere(self, model: Callable[..., Path]) -> None:
        """What is changed is refused, or is still a file with three classes; nothing else is raised."""
        place = model(resizer={"min_dimension": 4, "max_dimension": SIDE, "pad": [0.0, 0.0, 0.0]})
        whole = place.read_bytes()
        rng = np.random.default_rng(5)
        refused = 0
        for _ in range(300):
            content = bytearray(whole)
            content[rng.integers(8, len(whole))] = rng.integers(0, 256)
            place.write_bytes(content)
            try:
                File(place)
            except DataError:
                refused += 1
        assert refused > 10

    def test_labels_that_are_not_in_it(self, model: Callable[..., Path]) -> None:
        place = model(resizer={})
        with zipfile.ZipFile(io.BytesIO(place.read_bytes())) as archive:
            start = archive.start_dir - len(b"labels.txt") - 30 - len("date\nfig\nnut\n")
        place.write_bytes(place.read_bytes()[:start])
        with pytest.raises(DataError, match="its labels 'labels.txt' are missing"):
            File(place)

    def test_two_classes_of_one_name(self, model: Callable[..., Path], photo: Path) -> None:
        with pytest.raises(DataError, match="duplicate name"):
            boxwright.predict(model(labels=["a", "a", "b"]), photo)

    def test_an_input_that_is_not_an_image(self, tmp_path: Path) -> None:
        class Flat(Toy):
            @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32, name="input")])
            def detect(self, image: Any) -> Any:
                return self.postprocess(tf.zeros((1, 1, 4)), image[:, None], tf.constant([[0.5, 0.5, 0.2, 0.2]]))[::-1]

        place = tmp_path / "flat.tflite"
        place.write_bytes(convert(Flat(), tmp_path / "flat"))
        with pytest.raises(DataError, match=r"its input is not a color image: shape \[1, 3\]"):
            TFLiteDetector(File(place), CLASSES)

    @pytest.mark.parametrize("content", [b"{", b"[]", b'{"pad": [0, 0]}', b'{"pad": [0], "min_dimension": 1}'])
    def test_a_damaged_entry_of_ours(self, content: bytes) -> None:
        with pytest.raises(ValueError, match="."):
            tflite_metadata.resizer(content)


def test_it_is_recognised_by_its_content(model: Callable[..., Path], tmp_path: Path) -> None:
    place = model()
    assert recognised(str(place)).matches
    assert recognised(str(place.rename(tmp_path / "detect"))).matches
    assert not recognised(str(tmp_path)).matches
    (tmp_path / "empty.tflite").write_bytes(b"")
    assert not recognised(str(tmp_path / "empty.tflite")).matches
