"""SavedModel: the conformance tests, and what only this exporter has."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow")

import tensorflow as tf

from boxwright import DataError, ImageRef, LabelMap, Run, Sample, UsageError
from boxwright.images import decode_image
from boxwright.models import DecoderSettings, InputSettings, Network, select_detections
from boxwright.plugins import Registry
from boxwright_savedmodel import bfloat16
from boxwright_savedmodel.convert import convert
from boxwright_savedmodel.images import read
from boxwright_testing import NetworkExporterTests
from boxwright_testing.networks import BOXES
from boxwright_tf.suppression import suppress

pytestmark = pytest.mark.tensorflow

_WITHOUT_BOXWRIGHT = """
import sys
sys.modules.update(dict.fromkeys(["boxwright", "boxwright_tf", "boxwright_savedmodel"]))
import numpy as np
from tensorflow.python.tools.saved_model_cli import main
load, folder = np.load, sys.argv[1]
np.load = lambda *a, **k: load(*a, **k | {"allow_pickle": True})  # strings are objects
for signature, inputs in (("serving_default", "image_bytes=files.npy"), ("images", "images=arrays.npy")):
    sys.argv = ["saved_model_cli", "run", "--dir", folder, "--tag_set", "serve", "--signature_def", signature]
    sys.argv += ["--inputs", inputs, "--outdir", signature]
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""


def encoded(image: Image.Image, format: str, orientation: int = 1) -> bytes:
    buffer = io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(buffer, format, **({"exif": exif} if format == "JPEG" else {}))
    return buffer.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Returns an image with both smooth and sharp places."""
    random = np.random.default_rng(width)
    values = random.integers(0, 256, (height // 5 + 1, width // 5 + 1, len(mode)), dtype=np.uint8)
    return Image.fromarray(values, mode).resize((width, height), Image.Resampling.BICUBIC)


class TestSavedModel(NetworkExporterTests):
    exporter = "saved-model"
    any_operation = True
    unavailable = () if bfloat16.computes_in_bfloat16() else ("bf16",)

    @pytest.mark.slow
    def test_detect_py_needs_no_boxwright(
        self, plugins: Registry, run: Run, images: list[Sample], photo: Sample, tmp_path: Path
    ) -> None:
        """It imports TensorFlow twice. The export of a tuned run also runs ``detect.py`` alone, once."""
        super().test_detect_py_needs_no_boxwright(plugins, run, images, photo, tmp_path)

    def test_it_serves_without_boxwright(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """By TensorFlow's own program: two files of different sizes, and an array; boxes in pixels of each image."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        red, green = Image.new("RGB", (96, 48), (255, 0, 0)), Image.new("RGB", (32, 32), (0, 255, 0))
        np.save(tmp_path / "files.npy", np.array([encoded(red, "PNG"), encoded(green, "JPEG")], object))
        np.save(tmp_path / "arrays.npy", np.asarray(red)[None])
        command = [sys.executable, "-c", _WITHOUT_BOXWRIGHT, str(artifact)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for signature in ("serving_default", "images"):
            out = tmp_path / signature
            found = {path.stem: np.load(path) for path in out.glob("*.npy")}
            assert found["boxes"].shape[1:] == (100, 4)
            np.testing.assert_allclose(found["boxes"][0, :2], 3 * BOXES[[0, 2]], atol=0.001)
            np.testing.assert_allclose(found["scores"][0, :2], [1, 0.5], atol=0.001)
            assert (found["boxes"][0, 2:] == -1).all()
            assert found["classes"][0, :3].tolist() == [0, 0, -1]
            assert found["num_detections"][0] == 2
        found = {path.stem: np.load(path) for path in (tmp_path / "serving_default").glob("*.npy")}
        np.testing.assert_allclose(found["boxes"][1, :2], BOXES[[0, 2]] * [1, 2, 1, 2], atol=0.001)
        assert found["classes"][1, :3].tolist() == [1, 1, -1]

    def test_what_tensorflow_serving_reads(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """The warm-up requests, parsed by the fields of tensorflow_serving/apis, are answered by the model."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        assert (artifact / "assets" / "labels.txt").read_text() == "first\nsecond\n"
        config = (artifact.parent / "models.config").read_text()
        fields = dict(re.findall(r'(\w+): "(.*)"', config))
        assert fields == {"name": "detector", "base_path": "/models/detector", "model_platform": "tensorflow"}
        model = tf.saved_model.load(str(artifact))
        warm_up = artifact / "assets.extra" / "tf_serving_warmup_requests"
        requests = [parsed(record.numpy()) for record in tf.data.TFRecordDataset(str(warm_up))]
        assert [(name, signature) for name, signature, _ in requests] == [
            ("detector", "serving_default"),
            ("detector", "images"),
        ]
        for _, signature, inputs in requests:
            assert model.signatures[signature](**inputs)["num_detections"].shape == (1,)

    def test_a_damaged_image_is_named(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        _, artifact = next(self.exported(plugins, run, tmp_path))
        content = encoded(noise(96, 48), "JPEG")
        image = ImageRef(name="cut.jpg", width=96, height=48, data=content[: len(content) // 2])
        with pytest.raises(DataError, match=r"cut\.jpg"):
            list(self.load(plugins, artifact).predict([Sample(image=image)]))

    def test_other_files_are_decoded_by_boxwright(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        """CMYK and WebP, which TensorFlow does not decode."""
        _, artifact = next(self.exported(plugins, run, tmp_path))
        model = self.load(plugins, artifact)
        for image, format in ((Image.new("CMYK", (32, 16), (255, 0, 255, 0)), "JPEG"), (green(), "WEBP")):
            buffer = io.BytesIO()
            image.save(buffer, format)
            ref = ImageRef(name="image", width=32, height=16, data=buffer.getvalue())
            (found,) = model.predict([Sample(image=ref)])
            assert found.boxes.labels[:2] == ("second", "second")


def green() -> Image.Image:
    return Image.new("RGB", (32, 16), (0, 255, 0))


def parsed(record: bytes) -> tuple[str, str, dict[str, Any]]:
    """Returns the name, signature and inputs of a ``PredictionLog``."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from tensorflow.core.framework import tensor_pb2

    text, message, bytes_ = 9, 11, 12  # FieldDescriptorProto.Type
    kinds: dict[str, dict[str, Any]] = {
        "ModelSpec": {"name": (1, text), "signature_name": (3, text)},
        "Entry": {"key": (1, text), "value": (2, bytes_)},
        "PredictRequest": {"model_spec": (1, message, "ModelSpec"), "inputs": (2, message, "Entry")},
        "PredictLog": {"request": (1, message, "PredictRequest")},
        "PredictionLog": {"predict_log": (6, message, "PredictLog")},
    }
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", syntax="proto3")
    for kind, members in kinds.items():
        each = file.message_type.add(name=kind)
        for name, (number, sort, *of) in members.items():
            repeated = 3 if name == "inputs" else 1
            each.field.add(name=name, number=number, type=sort, label=repeated, type_name=of[0] if of else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    log = message_factory.GetMessageClass(pool.FindMessageTypeByName("PredictionLog")).FromString(record)
    request = log.predict_log.request
    inputs = {each.key: tf.make_ndarray(tensor_pb2.TensorProto.FromString(each.value)) for each in request.inputs}
    return request.model_spec.name, request.model_spec.signature_name, {k: tf.constant(v) for k, v in inputs.items()}


@pytest.fixture
def adding(tmp_path: Path) -> Network:
    """A network with one box, whose right edge is red + green + blue of the first pixel, and then 0.25 more.

    The second convolution multiplies by 1 + 3/512, the third one adds, with weights of 1 + 1/512. The 0.25 is what
    decodes boxes.
    """
    size = 300

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.float32, name="images")])  # type: ignore[untyped-decorator,unused-ignore]
    def serve(images: Any) -> dict[str, Any]:
        pixel = tf.nn.conv2d(images, tf.eye(3, batch_shape=[1, 1]), size, "VALID")
        pixel = tf.nn.conv2d(pixel, (1 + 3 / 512) * tf.eye(3, batch_shape=[1, 1]), 1, "VALID")
        right = tf.nn.conv2d(pixel, tf.fill((1, 1, 3, 1), 1 + 1 / 512), 1, "VALID") + 0.25
        corners = tf.concat([tf.zeros_like(right), tf.zeros_like(right), right, tf.ones_like(right)], -1)
        return {"boxes": corners[:, 0], "scores": right[:, 0] / 512}

    folder = tmp_path / "network"
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serve})
    return Network(folder, InputSettings(size, size), DecoderSettings(0.1), LabelMap.from_names(["only"]))


@pytest.mark.skipif(not bfloat16.computes_in_bfloat16(), reason="this CPU does not compute in bfloat16")
def test_bf16_rounds_what_convolutions_compute_and_neither_input_nor_boxes(adding: Network, tmp_path: Path) -> None:
    """bfloat16 has 8 bits, a step of 1/128 above 1, of 1/2 above 64 and of 2 above 256. In it, 1 + 1/512 is 1.

    Of the first pixel, the numbers to add are 1.0059 twice and 256.49, as bfloat16 1.0078 and 256. Their sum is 258.02,
    as bfloat16 258. Of the second pixel, it is 100.59, as bfloat16 100.5; times 1.0078, 101.
    """
    images = np.zeros((2, 300, 300, 3), np.uint8)
    images[0, 0, 0], images[1, 0, 0, 0] = (1, 1, 255), 100
    exact = (each * (1 + 3 / 512) * (1 + 1 / 512) + 0.25 for each in (257, 100))
    for precision, expected in (("fp32", exact), ("bf16", (258.25, 100.75))):
        convert(adding, tmp_path / precision, precision)
        model = tf.saved_model.load(str(tmp_path / precision))
        found = model.signatures["images"](images=tf.constant(images))
        for number, right in enumerate(expected):
            assert found["boxes"][number, 0].numpy().tolist() == pytest.approx([0, 0, right, 1], abs=1e-4)
            assert found["scores"][number, 0].numpy() == pytest.approx(right / 512, abs=1e-6)


def test_bf16_needs_a_cpu_that_has_it(adding: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags of a Xeon of 2017, of one of 2020, and another system."""
    flags = "flags\t\t: fpu vme sse2 avx2 avx512f avx512bw avx512vl"
    monkeypatch.setattr(bfloat16, "_CPU", tmp_path / "cpuinfo")
    for text in (flags, None):
        (tmp_path / "cpuinfo").unlink(missing_ok=True)
        if text is not None:
            (tmp_path / "cpuinfo").write_text(f"{text}\n")
        with pytest.raises(UsageError, match="does not compute in bfloat16") as caught:
            convert(adding, tmp_path / "out", "bf16")
        assert "saved-model:fp32" in caught.value.remedy
    assert not (tmp_path / "out").exists()
    (tmp_path / "cpuinfo").write_text(f"{flags} avx512_bf16\n")
    assert bfloat16.computes_in_bfloat16()


@pytest.mark.parametrize("inputs", [InputSettings(64, 48, 1.5), InputSettings(40, 30, resize="bilinear")])
def test_images_are_prepared_as_pillow_does(inputs: InputSettings) -> None:
    """Enlarged and reduced ones, rotated ones, transparent ones, and by large factors.

    To 1% of a gray level, but some pixels to one level, since versions of Pillow round in another order.
    """
    function = tf.function(lambda content: read(content, inputs), autograph=False)
    files = [encoded(noise(96, 80), "JPEG", orientation) for orientation in range(1, 9)]
    files += [encoded(noise(width, height), "PNG") for width, height in ((30, 20), (97, 203), (151, 120), (960, 640))]
    files += [encoded(noise(640, 480), "JPEG"), encoded(noise(480, 640), "JPEG", 6)]  # decoded at a smaller size
    files += [encoded(noise(90, 70, "RGBA"), "PNG"), encoded(noise(90, 70).convert("L"), "JPEG")]
    files += [encoded(noise(90, 70).convert("P"), "PNG")]
    for number, content in enumerate(files):
        upright = decode_image(content, "image")
        pixels, size = function(tf.constant(content))
        assert size.numpy().tolist() == list(upright.size), number
        expected = inputs(decode_image(content, "image", at_least=inputs.reduced_size))
        np.testing.assert_allclose(pixels, expected, atol=1.01, err_msg=str(number))
        assert np.abs(pixels - expected).mean() < 0.2, number


def test_a_jpeg_is_decoded_as_the_run_does() -> None:
    """Of a run that was trained with TensorFlow's own decoder."""
    content = encoded(noise(64, 48), "JPEG")
    fast, accurate = (
        read(tf.constant(content), InputSettings(64, 48, resize="bilinear", jpeg=jpeg))[0].numpy()
        for jpeg in ("fast", "accurate")
    )
    np.testing.assert_array_equal(fast, tf.io.decode_jpeg(content, channels=3))
    np.testing.assert_array_equal(accurate, decode_image(content, "image"))
    assert (fast != accurate).any()


@pytest.mark.parametrize("clips_first", [True, False])
@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_suppression_is_that_of_the_run(sigma: float, clips_first: bool) -> None:
    random = np.random.default_rng(5)
    corners = random.uniform(-30, 90, (2, 60, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (2, 60, 2)).astype(np.float32)], -1)
    scores = random.uniform(0, 1, (2, 60, 3)).astype(np.float32)
    settings = DecoderSettings(0.2, pre_nms=100, max_detections=50, soft_nms_sigma=sigma, clips_first=clips_first)
    found = {name: value.numpy() for name, value in suppress(boxes, scores, (80, 100), settings).items()}
    for image in range(2):
        expected = select_detections(boxes[image], scores[image], InputSettings(100, 80), settings)
        count = int(found["num"][image])
        assert 5 < count == len(expected.scores)
        for name in ("boxes", "scores", "classes"):
            np.testing.assert_allclose(found[name][image, :count], getattr(expected, name), atol=1e-4)
