"""The results of ``dataset.to_tf(...)``, compared with KerasCV, Keras, Pillow and known numbers."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

tf = pytest.importorskip("tensorflow")

import boxwright  # noqa: E402
from boxwright import Boxes, DataError, Dataset, ImageRef, LabelMap, MissingLibraryError, Sample, UsageError  # noqa: E402
from boxwright.datasets import Problems, SampleReader  # noqa: E402
from boxwright_tf.loader import to_tf  # noqa: E402

pytestmark = pytest.mark.tensorflow

RED = (255, 0, 0)
SIZES = ((60, 40), (40, 60), (50, 50), (31, 17), (64, 48))
BOXES: tuple[list[tuple[float, float, float, float]], ...] = (
    [(5, 10, 25, 30), (0, 0, 60, 40)],
    [],
    [(1.5, 2.25, 40.75, 49.5)],
    [(0, 0, 31, 17), (3, 4, 5, 6), (10, 2, 30, 16)],
    [(8, 8, 40, 24)],
)
LABELS: tuple[list[str], ...] = (["plum", "fig"], [], ["fig"], ["plum", "plum", "fig"], ["fig"])


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sample(number: int, data: bytes | None = None) -> Sample:
    """Returns a sample whose image has the gray level ``10 * number``, which identifies it."""
    size = SIZES[number]
    return Sample(
        image=ImageRef(
            name=f"{number}.png",
            width=size[0],
            height=size[1],
            data=data or encoded(Image.new("RGB", size, (10 * number,) * 3)),
        ),
        boxes=Boxes(LABELS[number], BOXES[number]),
        source=f"{number}.xml",
    )


def dataset(samples: Sequence[Sample], on_error: str = "fail", label_map: LabelMap | None = None) -> Dataset:
    return Dataset(SampleReader(samples), problems=Problems(on_error), label_map=label_map)


@pytest.fixture(scope="module")
def five() -> Dataset:
    return dataset([sample(number) for number in range(5)])


def numbers(examples: Any) -> list[int]:
    """Returns the numbers of the images, in order."""
    return [int(example["images"][0, 0, 0]) // 10 for example in examples]


def test_the_size_by_name_equals_the_size_as_a_pair(five: Dataset) -> None:
    named = to_tf(five, height=24, width=48, max_boxes=2, batch_size=5, dtype="uint8")
    ordered = to_tf(five, image_size=(48, 24), max_boxes=2, batch_size=5)
    assert named.element_spec["images"].dtype == tf.uint8
    (one,), (two,) = named, ordered
    assert one["images"].shape == (5, 24, 48, 3)
    np.testing.assert_array_equal(tf.cast(one["images"], tf.float32), two["images"])
    np.testing.assert_array_equal(one["bounding_boxes"]["boxes"], two["bounding_boxes"]["boxes"])


@pytest.mark.parametrize(
    "options", [{"height": 24}, {"height": 24, "width": 24, "image_size": (24, 24)}, {"width": 0, "height": 8}]
)
def test_sizes_that_contradict_each_other(five: Dataset, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="height|width is 0"):
        to_tf(five, **options)


def test_the_cardinality_is_known_unless_images_may_be_skipped(five: Dataset) -> None:
    assert len(to_tf(five)) == 5
    assert len(to_tf(five, batch_size=2, shuffle=3)) == 3, "two batches of two images and one of one"
    assert len(list(to_tf(five, batch_size=2))) == 3
    skipping = to_tf(dataset([sample(number) for number in range(5)], on_error="skip"))
    assert skipping.cardinality() == tf.data.UNKNOWN_CARDINALITY


FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


@pytest.mark.parametrize("name", FORMATS)
def test_every_box_format_is_that_of_keras(five: Dataset, name: str) -> None:
    keras = pytest.importorskip("keras")
    for number, example in enumerate(to_tf(five, bounding_box_format=name)):
        width, height = SIZES[number]
        boxes_xyxy = np.array(BOXES[number], np.float32).reshape(-1, 4)
        expected = keras.utils.bounding_boxes.convert_format(boxes_xyxy, "xyxy", name, height=height, width=width)
        boxes = example["bounding_boxes"]["boxes"]
        assert boxes.dtype == tf.float32
        np.testing.assert_allclose(boxes, np.asarray(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "rel_center_xywh"])
def test_every_box_format_of_kerascv_is_the_same(five: Dataset, name: str) -> None:
    keras_cv = pytest.importorskip("keras_cv")
    for number, example in enumerate(to_tf(five, bounding_box_format=name)):
        boxes_xyxy = np.array(BOXES[number], np.float32).reshape(-1, 4)
        image = tf.zeros((SIZES[number][1], SIZES[number][0], 3))
        expected = keras_cv.bounding_box.convert_format(boxes_xyxy, source="xyxy", target=name, images=image)
        np.testing.assert_allclose(example["bounding_boxes"]["boxes"], np.asarray(expected), rtol=0, atol=1e-5)


def test_relative_centers_and_sides(five: Dataset) -> None:
    """(5, 10)-(25, 30) in an image of 60x40: the center is (15, 20), the sides are 20, a third and a half of it."""
    first = next(iter(to_tf(five, bounding_box_format="rel_center_xywh")))["bounding_boxes"]["boxes"][0]
    np.testing.assert_allclose(first, [15 / 60, 20 / 40, 20 / 60, 20 / 40], rtol=1e-6)


def test_elements_have_the_form_of_kerascv(five: Dataset) -> None:
    examples = to_tf(five)
    assert isinstance(examples, tf.data.Dataset)
    for number, example in enumerate(examples):
        assert set(example) == {"images", "bounding_boxes"}
        assert set(example["bounding_boxes"]) == {"boxes", "classes"}
        assert example["images"].shape == (SIZES[number][1], SIZES[number][0], 3)
        assert example["images"].dtype == tf.float32
        assert float(tf.reduce_max(example["images"])) == 10 * number
        assert example["bounding_boxes"]["classes"].dtype == tf.float32
        # 0-based, in the order of the label map: fig before plum.
        expected = [{"fig": 0.0, "plum": 1.0}[label] for label in LABELS[number]]
        assert example["bounding_boxes"]["classes"].numpy().tolist() == expected


def test_classes_follow_the_label_map() -> None:
    label_map = LabelMap.from_names(["plum", "kiwi", "fig"], sort=False)
    example = next(iter(to_tf(dataset([sample(0)], label_map=label_map))))
    assert example["bounding_boxes"]["classes"].numpy().tolist() == [0.0, 2.0]


def test_a_ragged_batch_keeps_every_image_size_and_every_box(five: Dataset) -> None:
    batches = list(to_tf(five, batch_size=2))
    assert [int(batch["images"].shape[0]) for batch in batches] == [2, 2, 1], "the last, partial batch is missing"
    for start, batch in zip((0, 2, 4), batches, strict=True):
        assert isinstance(batch["images"], tf.RaggedTensor)
        for offset in range(int(batch["images"].shape[0])):
            number = start + offset
            image = batch["images"][offset].to_tensor()
            assert image.shape == (SIZES[number][1], SIZES[number][0], 3)
            boxes = batch["bounding_boxes"]["boxes"][offset]
            boxes = boxes.to_tensor() if isinstance(boxes, tf.RaggedTensor) else boxes
            np.testing.assert_allclose(np.reshape(boxes, (-1, 4)), np.reshape(BOXES[number], (-1, 4)))
            assert len(batch["bounding_boxes"]["classes"][offset]) == len(LABELS[number])


def test_dense_boxes_are_the_ragged_ones_padded_and_truncated(five: Dataset) -> None:
    ragged = list(to_tf(five, image_size=(32, 32)))
    (batch,) = to_tf(five, image_size=(32, 32), max_boxes=2, batch_size=5)
    boxes, classes = batch["bounding_boxes"]["boxes"].numpy(), batch["bounding_boxes"]["classes"].numpy()
    assert boxes.shape == (5, 2, 4)
    assert classes.shape == (5, 2)
    for number, example in enumerate(ragged):
        kept = min(2, len(LABELS[number]))
        np.testing.assert_array_equal(boxes[number, :kept], example["bounding_boxes"]["boxes"][:kept])
        np.testing.assert_array_equal(classes[number, :kept], example["bounding_boxes"]["classes"][:kept])
        assert (boxes[number, kept:] == -1).all()
        assert (classes[number, kept:] == -1).all()


def test_images_of_one_size_are_a_dense_batch_with_ragged_boxes(five: Dataset) -> None:
    (batch,) = to_tf(five, image_size=(32, 24), batch_size=5)
    assert not isinstance(batch["images"], tf.RaggedTensor)
    assert batch["images"].shape == (5, 24, 32, 3)
    assert batch["bounding_boxes"]["classes"].row_lengths().numpy().tolist() == [2, 0, 1, 3, 1]


def test_static_shapes(five: Dataset) -> None:
    spec = to_tf(five, image_size=(32, 24), batch_size=2, max_boxes=7).element_spec
    assert spec["images"].shape.as_list() == [None, 24, 32, 3]
    assert spec["bounding_boxes"]["boxes"].shape.as_list() == [None, 7, 4]
    assert spec["bounding_boxes"]["classes"].shape.as_list() == [None, 7]


def test_boxes_are_resized_with_their_image() -> None:
    """A red rectangle (20, 10)-(60, 50) in 100x80, at 50x160: half as wide and twice as high."""
    image = Image.new("RGB", (100, 80), "white")
    ImageDraw.Draw(image).rectangle((20, 10, 59, 49), fill=RED)
    one = Sample(
        image=ImageRef(name="a.png", width=100, height=80, data=encoded(image)),
        boxes=Boxes(["red"], [(20, 10, 60, 50)]),
    )
    example = next(iter(to_tf(dataset([one]), image_size=(50, 160))))
    assert example["images"].shape == (160, 50, 3)
    np.testing.assert_allclose(example["bounding_boxes"]["boxes"], [[10, 20, 30, 100]])
    red = example["images"].numpy()[..., 1] < 128
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    np.testing.assert_allclose([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], [10, 20, 30, 100], atol=1)


@pytest.mark.parametrize("frame", ["upright", "stored"])
def test_the_exif_orientation_is_applied(frame: str) -> None:
    """Orientation 6: the stored 64x32 pixels are displayed as 32x64, rotated clockwise (EXIF 2.32, 0x0112).

    The red rectangle stored at (8, 4)-(40, 12) is displayed at (32-12, 8)-(32-4, 40).
    """
    stored = Image.new("RGB", (64, 32), "white")
    ImageDraw.Draw(stored).rectangle((8, 4, 39, 11), fill=RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    size, box = ((32, 64), (20, 8, 28, 40)) if frame == "upright" else ((64, 32), (8, 4, 40, 12))
    data = encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)
    one = Sample(image=ImageRef(name="a.jpg", width=size[0], height=size[1], data=data), boxes=Boxes(["red"], [box]))
    example = next(iter(to_tf(dataset([one]))))
    assert example["images"].shape == (64, 32, 3)
    np.testing.assert_allclose(example["bounding_boxes"]["boxes"], [[20, 8, 28, 40]])
    inside = example["images"].numpy()[8:40, 20:28]
    assert inside[..., 1].max() < 64, "a pixel inside the box is not red"
    assert (example["images"].numpy()[..., 1] < 128).sum() == 32 * 8, "a pixel outside the box is red"


def test_two_passes_are_equal(five: Dataset) -> None:
    examples = to_tf(five, batch_size=2, image_size=(32, 24), max_boxes=3)
    for one, two in zip(examples, examples, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, two)


def test_shuffling_is_seeded_and_changes_from_pass_to_pass(five: Dataset) -> None:
    one, again = to_tf(five, shuffle=5, seed=1), to_tf(five, shuffle=5, seed=1)
    passes = [numbers(one), numbers(one)]
    assert [numbers(again), numbers(again)] == passes
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in passes)
    assert passes[0] != passes[1]
    assert len({tuple(numbers(to_tf(five, shuffle=5, seed=seed))) for seed in range(5)}) > 1
    assert numbers(to_tf(five)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_keep_the_order(five: Dataset, workers: int) -> None:
    assert numbers(to_tf(five, workers=workers)) == [0, 1, 2, 3, 4]


def test_a_damaged_image_ends_the_iteration_with_its_name() -> None:
    data = dataset([sample(0), sample(1, data=encoded(Image.new("RGB", SIZES[1]))[:40]), sample(2)])
    with pytest.raises(tf.errors.OpError, match=re.escape("1.xml")) as caught:
        list(to_tf(data))
    assert "DataError" in str(caught.value)
    assert "--on-error skip" in str(caught.value), "the remedy is missing"


def test_a_damaged_image_is_skipped_and_reported() -> None:
    data = dataset([sample(0), sample(1, data=b"not an image"), sample(2)], on_error="skip")
    examples = to_tf(data)
    assert numbers(examples) == [0, 2]
    assert numbers(examples) == [0, 2]
    assert [error.file for error in data.problems.skipped] == ["1.xml"], "reported more than once"


def test_an_unknown_class_is_named() -> None:
    data = dataset([sample(0)], label_map=LabelMap.from_names(["fig"]))
    with pytest.raises(tf.errors.OpError, match="'plum' is not in the label map"):
        list(to_tf(data))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"bounding_box_format": "xyxz"}, "xyxz"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_boxes": 0}, "max_boxes"),
        ({"shuffle": -1}, "shuffle"),
    ],
)
def test_invalid_arguments_are_usage_errors(five: Dataset, options: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        to_tf(five, **options)


def test_kerascv_accepts_a_batch(five: Dataset) -> None:
    """RandomFlip at rate 1 changes (8, 8)-(40, 24) in an image of 64 pixels to (24, 8)-(56, 24)."""
    keras_cv = pytest.importorskip("keras_cv")
    flip = keras_cv.layers.RandomFlip(mode="horizontal", rate=1.0, bounding_box_format="xyxy")
    data = dataset([sample(4), sample(4)])
    for batch in to_tf(data, batch_size=2, max_boxes=3, image_size=(64, 48)).map(flip):
        boxes = batch["bounding_boxes"]["boxes"]
        boxes = boxes.to_tensor(-1.0) if isinstance(boxes, tf.RaggedTensor) else boxes
        np.testing.assert_allclose(boxes[:, 0], [[24, 8, 56, 24]] * 2, atol=1e-3)


def test_to_tf_is_a_method_of_an_opened_dataset(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_voc")
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.png</filename><size><width>60</width><height>40</height><depth>3</depth></size>"
        "<object><name>fig</name><bndbox><xmin>5</xmin><ymin>10</ymin><xmax>25</xmax><ymax>30</ymax></bndbox></object>"
        "</annotation>",
        "utf-8",
    )
    (batch,) = boxwright.open(f"labelimg:{tmp_path}").to_tf(bounding_box_format="xywh", batch_size=4)
    assert np.asarray(batch["bounding_boxes"]["boxes"].to_tensor())[0].tolist() == [[5, 10, 20, 20]]


def test_without_tensorflow_the_error_contains_the_install_command(
    five: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorflow" else find_spec(name, *rest)
    )
    with pytest.raises(MissingLibraryError, match="tensorflow") as caught:
        five.to_tf()
    assert 'python -m pip install "boxwright-tf[cpu]"' in caught.value.remedy
    assert "boxwright-tf[cuda]" in caught.value.remedy


def test_a_dataset_is_read_only_during_iteration(tmp_path: Path) -> None:
    """The image is missing when the tf.data.Dataset is created; the error is raised for the first element."""
    gone = Sample(image=ImageRef(name="gone.png", width=8, height=8, location=str(tmp_path / "gone.png")))
    examples = to_tf(dataset([gone], label_map=LabelMap.from_names(["fig"])))
    with pytest.raises(tf.errors.OpError, match="gone\\.png"):
        next(iter(examples))


def test_decoding_in_python_raises_the_data_error() -> None:
    from boxwright.datasets import class_numbers
    from boxwright_tf.decoding import decode_samples

    label_map = LabelMap.from_names(["fig"])
    with pytest.raises(DataError, match="'plum' is not in the label map") as caught:
        class_numbers(sample(0), label_map)
    assert caught.value.file == "0.xml"
    with pytest.raises(DataError, match=re.escape("1.xml")):
        list(decode_samples(dataset([sample(1, data=b"not an image")]), label_map))
