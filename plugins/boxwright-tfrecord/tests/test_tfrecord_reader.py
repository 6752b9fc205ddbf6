"""What is read: files that TensorFlow wrote, files that lack something, and files that are wrong."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright import Box, Boxes, DataError, LabelMap, Sample
from boxwright_tfrecord.reader import TFRecordReader, detect
from boxwright_tfrecord.records import write_record

PBTXT = "item {\n  id: 1\n  name: 'date'\n}\nitem {\n  id: 2\n  name: 'fig'\n  display_name: 'Fig (ripe)'\n}\n"


def read(location: object, **options: Any) -> list[Sample]:
    def fail(error: DataError) -> None:
        raise error

    return list(TFRecordReader(str(location), **options).read(fail))


@pytest.fixture
def make_record(
    tmp_path: Path, encode: Callable[..., bytes], write_records: Callable[..., Path]
) -> Callable[..., Path]:
    """``make_record({key: values, ...}, ...)``: a file of records like one of the API's, with some keys changed.

    ``None`` leaves a key out; numbers with a point are floats, others integers, ``bytes`` are bytes.
    """
    usual: dict[str, list[Any]] = {
        "image/encoded": [encode(40, 30)],
        "image/filename": [b"a.jpg"],
        "image/format": [b"jpeg"],
        "image/height": [30],
        "image/width": [40],
        "image/object/bbox/xmin": [0.25],
        "image/object/bbox/ymin": [0.5],
        "image/object/bbox/xmax": [0.75],
        "image/object/bbox/ymax": [1.0],
        "image/object/class/text": [b"fig"],
        "image/object/class/label": [2],
    }

    def make(*records: dict[str, list[Any] | None], name: str = "x.record") -> Path:
        whole = [
            {key: values for key, values in (usual | changes).items() if values is not None} for changes in records
        ]
        return write_records(tmp_path / name, *whole)

    return make


@pytest.mark.parametrize("name", ["tensorflow.record", "tensorflow.record.gz"])
def test_records_that_tensorflow_wrote(data: Path, name: str) -> None:
    one, empty = read(data / name)
    assert (one.image.name, one.image.width, one.image.height, one.image.format) == ("one.jpg", 33, 17, "jpeg")
    assert one.image.read().startswith(b"\xff\xd8")
    assert list(one.boxes) == [
        Box(label="fig", xmin=1, ymin=2, xmax=30, ymax=16, attributes={"area": 1.5, "truncated": 1, "pose": "Frontal"}),
        Box(
            label="date, dried",
            xmin=0,
            ymin=0,
            xmax=33,
            ymax=17,
            attributes={"area": -2, "difficult": 1, "iscrowd": 1},
        ),
    ]
    assert one.attributes == {"negative": -1}  # a key that no script writes
    assert one.source == f"{data / name}, record 1"
    assert (empty.image.name, empty.boxes, empty.source) == ("empty.jpg", Boxes(), f"{data / name}, record 2")
    assert detect(str(data / name)).matches


def test_info_counts_without_reading(data: Path) -> None:
    assert TFRecordReader(str(data / "tensorflow.record")).info.num_samples == 2
    assert TFRecordReader(str(data / "tensorflow.record.gz")).info.num_samples is None


def test_whole_pixels_come_back_exactly(make_record: Callable[..., Path]) -> None:
    # float32 by struct, whatever the reader does with it: k / size * size is off by up to 0.0006 pixels.
    for size in (3, 7, 33, 299, 416, 500, 1023, 3024, 4032, 6_007, 9_973, 10_000):
        step = max(1, size // 900)
        edges = [*range(0, size + 1, step), size - 1, size]
        stored = [struct.unpack("<f", struct.pack("<f", k / size))[0] for k in edges]
        ends = [1.0] * len(edges)
        path = make_record(
            {
                "image/encoded": None,
                "image/width": [size],
                "image/height": [size],
                "image/object/bbox/xmin": stored,
                "image/object/bbox/ymin": stored[::-1],
                "image/object/bbox/xmax": ends,
                "image/object/bbox/ymax": ends,
                "image/object/class/text": [b"fig"] * len(edges),
                "image/object/class/label": None,
            }
        )
        (sample,) = read(path)
        assert [edge[0] for edge in sample.boxes.coordinates] == edges
        assert [edge[1] for edge in sample.boxes.coordinates] == edges[::-1]
        assert all(edge[2:] == (size, size) for edge in sample.boxes.coordinates)


@pytest.mark.parametrize("size", [33, 500, 4032])
def test_fractions_come_back_within_the_precision_of_float32(make_record: Callable[..., Path], size: int) -> None:
    fractions = [size * k / 997 for k in range(990)]
    decimals = [12.5, 0.1, 17.25, size - 0.5, 20.05]
    path = make_record(
        {
            "image/encoded": None,
            "image/width": [size],
            "image/height": [size],
            "image/object/bbox/xmin": [x / size for x in fractions + decimals],
            **{f"image/object/bbox/{edge}": [1.0] * 995 for edge in ("xmax", "ymax", "ymin")},
            "image/object/class/text": [b"fig"] * 995,
            "image/object/class/label": None,
        }
    )
    (sample,) = read(path)
    back = [edge[0] for edge in sample.boxes.coordinates]
    assert back[990:] == decimals
    assert all(abs(a - b) <= a * 2**-22 + a * 2**-24 for a, b in zip(fractions, back, strict=False))


def test_classes_by_number(make_record: Callable[..., Path], tmp_path: Path) -> None:
    path = make_record({"image/object/class/text": None})
    with pytest.raises(DataError, match=r"class id 2 and no name\n.*\?label_map=") as caught:
        read(path)
    assert caught.value.place == "record 1, byte 0"
    (tmp_path / "label_map.pbtxt").write_text(PBTXT)
    assert read(path)[0].boxes.labels == ("fig",)
    other = tmp_path / "other.pbtxt"
    other.write_text(PBTXT.replace("'fig'", "'nut'"))
    assert read(path, label_map=str(other))[0].boxes.labels == ("nut",)
    assert TFRecordReader(str(path)).info.label_map == LabelMap.from_pbtxt(PBTXT)
    with pytest.raises(DataError, match="class id 3 is not in"):
        read(make_record({"image/object/class/text": [b""], "image/object/class/label": [3]}))


def test_the_text_has_priority_over_the_number(make_record: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "label_map.pbtxt").write_text(PBTXT)
    path = make_record({"image/object/class/text": [b"date"], "image/object/class/label": [2]})
    assert read(path)[0].boxes.labels == ("date",)
    assert read(make_record({"image/object/class/text": [b"Fig (ripe)"]}))[0].boxes.labels == ("fig",)
    with pytest.raises(DataError, match=r"'kiwi' is not in .*label_map.pbtxt"):
        read(make_record({"image/object/class/text": [b"kiwi"]}))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\0", b"item {", b"hello"])
def test_label_maps_that_cannot_be_used(
    make_record: Callable[..., Path], tmp_path: Path, content: bytes | None
) -> None:
    path, label_map = make_record({}), tmp_path / "classes.pbtxt"
    if content is not None:
        label_map.write_bytes(content)
    with pytest.raises(DataError, match=r"classes\.pbtxt"):
        read(path, label_map=str(label_map))


def test_the_size_comes_from_the_image_if_the_record_has_none(
    make_record: Callable[..., Path], encode: Callable[..., bytes], tmp_path: Path
) -> None:
    without: dict[str, None] = {"image/width": None, "image/height": None}
    for format in ("JPEG", "PNG", "BMP", "GIF"):
        (sample,) = read(make_record({**without, "image/encoded": [encode(20, 10, format)], "image/format": None}))
        assert (sample.image.width, sample.image.height) == (20, 10)
        assert sample.boxes.coordinates == ((5, 5, 15, 10),)
    (tmp_path / "a.jpg").write_bytes(encode(60, 50))
    (sample,) = read(make_record({**without, "image/encoded": None}))
    assert (sample.image.width, sample.image.height) == (60, 50)


def test_images_outside_the_record(
    make_record: Callable[..., Path], tmp_path: Path, encode: Callable[..., bytes]
) -> None:
    path = make_record({"image/encoded": None})
    assert read(path)[0].image.location == str(tmp_path / "a.jpg")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(encode(40, 30))
    (sample,) = read(path, images=str(tmp_path / "images"))
    assert sample.image.read() == (tmp_path / "images" / "a.jpg").read_bytes()


def test_source_ids_that_say_more_than_the_name(make_record: Callable[..., Path]) -> None:
    path = make_record({"image/source_id": [b"391895"]}, {"image/filename": [b"b.jpg"], "image/source_id": [b"b.jpg"]})
    assert [sample.attributes for sample in read(path)] == [{"source_id": "391895"}, {}]


def test_images_named_by_number(make_record: Callable[..., Path], encode: Callable[..., bytes]) -> None:
    path = make_record(
        {"image/filename": None},
        {"image/filename": [b"../../etc/x.jpg"]},
        {"image/encoded": [encode(40, 30, "PNG")]},
        {},
    )
    assert [sample.image.name for sample in read(path, names="number")] == [
        "x.record-000001.jpg",
        "x.record-000002.jpg",
        "x.record-000003.png",
        "x.record-000004.jpg",
    ]


def test_edges_in_pixels_and_in_the_wrong_order(make_record: Callable[..., Path]) -> None:
    pixels = make_record(
        {
            f"image/object/bbox/{e}": [x]
            for e, x in zip(("xmin", "ymin", "xmax", "ymax"), (3.0, 4.5, 20.0, 30.0), strict=True)
        }
    )
    with pytest.raises(DataError, match=r"look like pixels\n.*coordinates=pixels"):
        read(pixels)
    assert read(pixels, coordinates="pixels")[0].boxes.coordinates == ((3, 4.5, 20, 30),)
    swapped = make_record({"image/object/bbox/xmin": [0.75], "image/object/bbox/xmax": [0.25]})
    with pytest.raises(DataError, match=r"xmin 30 is greater than xmax 10\n.*inverted=swap"):
        read(swapped)
    assert read(swapped, inverted="swap")[0].boxes.coordinates == ((10, 15, 30, 30),)


BAD: dict[str, tuple[dict[str, list[Any] | None], str]] = {
    "no name": ({"image/filename": None}, r"image/filename is missing\n.*names=number"),
    "a name that leads outside": ({"image/filename": [b"../a.jpg"]}, r"outside the dataset's folder\n.*names=number"),
    "a path that leads outside": ({"image/filename": [b"../a.jpg"], "image/encoded": None}, "leads out of the folder"),
    "a name in another encoding": ({"image/filename": [b"caf\xe9.jpg"]}, "image/filename is not UTF-8"),
    "a class in another encoding": ({"image/object/class/text": [b"\xe9"]}, "class/text is not UTF-8"),
    "two names": ({"image/filename": [b"b.jpg", b"c.jpg"]}, "image/filename has 2 values"),
    "NaN": ({"image/object/bbox/xmin": [float("nan")]}, "not a finite number"),
    "infinity": ({"image/object/bbox/xmax": [float("inf")]}, "not a finite number"),
    "columns of different length": ({"image/object/bbox/ymax": [0.5, 0.75]}, "ymax has 2 values for 1 boxes"),
    "a column that is missing": ({"image/object/bbox/ymin": None}, "xmin, ymin, xmax, ymax"),
    "the first column missing": ({"image/object/bbox/xmin": None}, "1 values for 0 boxes"),
    "more texts than boxes": ({"image/object/class/text": [b"a", b"b"]}, "text has 2 values for 1 boxes"),
    "fewer flags than boxes": ({"image/object/difficult": [0, 0]}, "difficult has 2 values"),
    "neither text nor label": ({"image/object/class/text": None, "image/object/class/label": None}, "neither"),
    "size 0": ({"image/width": [0]}, "size is 0x30"),
    "a size that is not the image's": ({"image/width": [41]}, "41x30 in the record and 40x30 in its image"),
    "a text for a size": ({"image/width": [b"40"]}, "image/width contains bytes, not integers"),
    "integers for edges": ({"image/object/bbox/xmin": [0]}, "xmin contains integers, not floats"),
    "half an image header": ({"image/encoded": [b"\xff\xd8\xff\xe0\0\x10JF"]}, "cut off"),
    "a damaged image header": ({"image/encoded": [b"\xff\xd8\xff\xff\xd9"]}, "image|read"),
    "not an image, and no size": (
        {"image/encoded": [b"hello"], "image/width": None},
        "image|read",
    ),
    "the same name again": ({"image/filename": [b"a.jpg"]}, r"duplicate image 'a.jpg'\n.*names=number"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_records_name_their_place_and_the_others_are_read(make_record: Callable[..., Path], case: str) -> None:
    changes, says = BAD[case]
    path = make_record({}, {"image/filename": [b"bad.jpg"], **changes}, {"image/filename": [b"last.jpg"]})
    second = 16 + int.from_bytes(path.read_bytes()[:8], "little")
    problems: list[DataError] = []
    names = [sample.image.name for sample in TFRecordReader(str(path)).read(problems.append)]
    assert names == ["a.jpg", "last.jpg"]
    (error,) = problems
    with pytest.raises(DataError, match=says):
        raise error
    assert error.remedy
    if case != "not an image, and no size":  # the core's own message, which names the image
        assert (error.file, error.place) == (str(path), f"record 2, byte {second}")


def test_a_record_that_is_no_example(tmp_path: Path) -> None:
    path = tmp_path / "x.record"
    with open(path, "wb") as file:
        write_record(file, b"hello, world")
    with pytest.raises(DataError, match=r"record 1, byte 0: it is not a tf.train.Example"):
        read(path)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.record"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        read(path)
    assert not detect(str(path)).matches


def test_boxes_outside_the_image_are_kept(make_record: Callable[..., Path]) -> None:
    path = make_record({"image/object/bbox/xmin": [-0.25], "image/object/bbox/xmax": [1.25]})
    assert read(path)[0].boxes.coordinates == ((-10, 15, 50, 30),)


@pytest.mark.tensorflow
def test_what_tensorflow_writes_is_read(tmp_path: Path, encode: Callable[..., bytes]) -> None:
    tf = pytest.importorskip("tensorflow")

    def feature(*values: Any) -> Any:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    names = [f"{number}.png" for number in range(3)]
    for name, compression in (("x.tfrecord", None), ("x.tfrecord.gz", "GZIP")):
        with tf.io.TFRecordWriter(str(tmp_path / name), compression) as writer:
            for number, filename in enumerate(names):
                edges = {"xmin": number / 640, "ymin": 3 / 427, "xmax": 639 / 640, "ymax": 400.5 / 427}
                features = {
                    "image/encoded": feature(encode(640, 427, "PNG", mode="L")),
                    "image/filename": feature(filename.encode()),
                    "image/width": feature(640),
                    "image/height": feature(427),
                    "image/object/class/text": feature("大きい".encode()),
                    "image/object/view": feature(b""),
                    "image/object/mask": feature(b"unknown to us"),
                    **{f"image/object/bbox/{edge}": feature(value) for edge, value in edges.items()},
                }
                message = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(message.SerializeToString())
        samples = read(tmp_path / name)
        assert [sample.image.name for sample in samples] == names
        for number, sample in enumerate(samples):
            assert list(sample.boxes) == [Box(label="大きい", xmin=number, ymin=3, xmax=639, ymax=400.5)]
            assert tf.io.decode_png(sample.image.read()).shape == (427, 640, 1)


def test_records_of_tensorflow_datasets_are_not_taken(
    make_record: Callable[..., Path], write_records: Callable[..., Path], tmp_path: Path
) -> None:
    """The keys that TFDS writes for an Image and a Sequence of bbox and label in objects."""
    objects = {"objects/bbox": [0.1, 0.2, 0.3, 0.4], "objects/label": [1]}
    path = write_records(tmp_path / "x.tfrecord", {"image": [b"\xff\xd8\xff"], "image/filename": [b"a.jpg"], **objects})
    with pytest.raises(DataError, match="keys of TensorFlow Datasets") as caught:
        TFRecordReader(str(path))
    assert "tfds:FOLDER" in caught.value.remedy
    assert not detect(str(path)).matches
    assert detect(str(make_record({}))).matches
