"""What is written, with TensorFlow's own parser as the judge, and what is refused."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import DataError, ImageRef, LabelMap, Sample
from boxwright.storage import AtomicOutput
from boxwright_tfrecord.example import Values, decode_example
from boxwright_tfrecord.records import Record, read_records
from boxwright_tfrecord.writer import TFRecordWriter

KEYS = [
    "image/encoded",
    "image/filename",
    "image/format",
    "image/height",
    "image/key/sha256",
    "image/object/bbox/xmax",
    "image/object/bbox/xmin",
    "image/object/bbox/ymax",
    "image/object/bbox/ymin",
    "image/object/class/label",
    "image/object/class/text",
    "image/object/difficult",
    "image/object/truncated",
    "image/object/view",
    "image/source_id",
    "image/width",
]


def features(location: str) -> list[dict[str, Values]]:
    found = []
    for record in read_records(location):
        assert isinstance(record, Record)
        found.append(decode_example(record.data))
    return found


def float32(*numbers: float) -> list[float]:
    return list(struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers)))


def test_keys_and_values_are_those_of_create_pascal_tf_record(
    write: Callable[..., str], make_sample: Callable[..., Sample], encode: Callable[..., bytes]
) -> None:
    content = encode(40, 30)
    sample = make_sample(
        "cam1/фото.jpg",
        (40, 30),
        ["fig", "大きい 'nut'"],
        [(1, 2, 30, 20), (0, 0, 40, 30)],
        [{"difficult": 1, "pose": "Left"}, {"truncated": True}],
        content,
    )
    (found,) = features(write([sample]))
    assert list(found) == KEYS
    assert found == {
        "image/encoded": [content],
        "image/filename": ["cam1/фото.jpg".encode()],
        "image/format": [b"jpeg"],
        "image/height": [30],
        "image/key/sha256": [hashlib.sha256(content).hexdigest().encode()],
        "image/object/bbox/xmax": float32(30 / 40, 1),
        "image/object/bbox/xmin": float32(1 / 40, 0),
        "image/object/bbox/ymax": float32(20 / 30, 1),
        "image/object/bbox/ymin": float32(2 / 30, 0),
        "image/object/class/label": [2, 3],
        "image/object/class/text": [b"fig", "大きい 'nut'".encode()],
        "image/object/difficult": [1, 0],
        "image/object/truncated": [0, 1],
        "image/object/view": [b"Left", b"Unspecified"],
        "image/source_id": ["cam1/фото.jpg".encode()],
        "image/width": [40],
    }


def test_an_empty_image_has_all_keys_and_empty_lists(
    write: Callable[..., str], make_sample: Callable[..., Sample], encode: Callable[..., bytes]
) -> None:
    (found,) = features(write([make_sample("a.png", (40, 30), [], [], content=encode(40, 30, "PNG"))]))
    assert list(found) == KEYS
    assert [key for key, values in found.items() if not values] == [key for key in KEYS if "/object/" in key]
    assert found["image/format"] == [b"png"]


def test_crowds_and_source_ids_are_written_where_there_are_any(
    write: Callable[..., str], make_sample: Callable[..., Sample]
) -> None:
    crowd = make_sample(attributes=[{"iscrowd": 1}]).replace(attributes={"source_id": "391895"})
    (found,) = features(write([crowd]))
    assert list(found) == sorted([*KEYS, "image/object/is_crowd"])
    assert found["image/object/is_crowd"] == [1]
    assert found["image/source_id"] == [b"391895"]


def test_the_same_samples_give_the_same_bytes(write: Callable[..., str], make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample("a.jpg"), make_sample("b.jpg", labels=[], edges=[])]
    for name in ("x.record", "x.record.gz"):
        assert Path(write(samples, name)).read_bytes() == Path(write(samples, f"again-{name}")).read_bytes()


def test_images_may_come_from_memory_or_from_anywhere(
    write: Callable[..., str], make_sample: Callable[..., Sample], encode: Callable[..., bytes]
) -> None:
    import fsspec

    data = encode(40, 30)
    with fsspec.open("memory://images/c.jpg", "wb") as file:
        file.write(data)
    held = Sample(image=ImageRef(name="b.jpg", width=40, height=30, data=data))
    remote = Sample(image=ImageRef(name="c.jpg", width=40, height=30, location="memory://images/c.jpg"))
    assert [found["image/encoded"] for found in features(write([held, remote]))] == [[data], [data]]


def refusals(make_sample: Callable[..., Sample], encode: Callable[..., bytes]) -> dict[str, tuple[Sample, str]]:
    good = encode(40, 30)
    missing = make_sample("missing.jpg")
    Path(missing.image.location or "").unlink()
    turned = encode(40, 30, orientation=6)
    return {
        "missing": (missing, r"missing\.jpg: "),
        "nowhere": (Sample(image=ImageRef(name="n.jpg", width=40, height=30)), "image n.jpg was not found"),
        "empty": (make_sample("b.jpg", content=b""), "empty"),
        "not an image": (make_sample("c.jpg", content=b"GET / HTTP/1.1"), "neither JPEG nor PNG"),
        "bmp": (make_sample("d.bmp", content=encode(40, 30, "BMP")), "--with resize:40x30"),
        "webp": (make_sample("e.webp", content=encode(40, 30, "WEBP")), "--with resize:40x30"),
        "cut": (make_sample("f.jpg", content=good[: len(good) // 2]), "cut off"),
        "cut in its header": (make_sample("g.jpg", content=good[:100]), "cut off"),
        "cut png": (make_sample("h.png", content=encode(40, 30, "PNG")[:-20]), "cut off"),
        "wrong size": (make_sample("i.jpg", (41, 30), content=good), "41x30.* 40x30"),
        "turned": (
            make_sample("j.jpg", (30, 40), edges=[(0, 0, 5, 5)], content=turned),
            "(?s)orientation 6.*--with upright",
        ),
        "upside down": (make_sample("k.jpg", content=encode(40, 30, orientation=3)), "orientation 3"),
        "turned, wrong size": (make_sample("l.jpg", (31, 40), edges=[(0, 0, 5, 5)], content=turned), "31x40"),
        "unknown class": (make_sample("m.jpg", labels=["kiwi"]), "'kiwi' is not in the label map"),
        "outside": (
            make_sample("o.jpg").replace(image=ImageRef(name="../o.jpg", width=40, height=30, data=good)),
            "outside",
        ),
        "no number": (make_sample("p.jpg", attributes=[{"difficult": "yes"}]), "difficult is 'yes'"),
        "no text": (make_sample("q.jpg", attributes=[{"pose": 3}]), "pose is 3"),
        "beyond float32": (make_sample("r.jpg", edges=[(0, 0, 1e300, 5)]), "does not fit"),
        "twice": (make_sample("good.jpg"), "duplicate image 'good.jpg'"),
    }


def test_what_cannot_be_written_is_an_error_and_the_others_go_on(
    tmp_path: Path, make_sample: Callable[..., Sample], encode: Callable[..., bytes]
) -> None:
    location = str(tmp_path / "out.record")
    cases = refusals(make_sample, encode)
    with AtomicOutput(location) as output:
        writer = TFRecordWriter(output, LabelMap.from_names(["fig"]))
        writer.write(make_sample("good.jpg"))
        for sample, says in cases.values():
            with pytest.raises(DataError, match=says) as caught:
                writer.write(sample)
            assert caught.value.remedy
            assert sample.image.name in str(caught.value)
        writer.write(make_sample("last.jpg"))
        writer.close()
    assert [found["image/filename"] for found in features(location)] == [[b"good.jpg"], [b"last.jpg"]]


def test_a_jpeg_of_several_images_is_a_jpeg(
    write: Callable[..., str], make_sample: Callable[..., Sample], encode: Callable[..., bytes]
) -> None:
    several = encode(40, 30, "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30))])
    (found,) = features(write([make_sample(content=several)]))
    assert (found["image/encoded"], found["image/format"]) == ([several], [b"jpeg"])


def test_boxes_in_the_stored_frame_of_a_rotated_image_are_written_unchanged(
    write: Callable[..., str], make_sample: Callable[..., Sample], encode: Callable[..., bytes]
) -> None:
    (found,) = features(write([make_sample(content=encode(40, 30, orientation=6))]))
    assert (found["image/width"], found["image/height"]) == ([40], [30])


def test_boxes_outside_the_image_or_without_area_are_written_unchanged(
    write: Callable[..., str], make_sample: Callable[..., Sample]
) -> None:
    sample = make_sample(labels=["fig", "fig"], edges=[(-4, 0, 44, 30), (5, 5, 5, 5)])
    (found,) = features(write([sample]))
    assert found["image/object/bbox/xmin"] == float32(-0.1, 0.125)
    assert found["image/object/bbox/xmax"] == float32(1.1, 0.125)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "compression"), [("x.record", ""), ("x.record.gz", "GZIP"), ("x.record@2", "")])
def test_tensorflow_reads_what_was_written(
    write: Callable[..., str], make_sample: Callable[..., Sample], tmp_path: Path, name: str, compression: str
) -> None:
    tf = pytest.importorskip("tensorflow")
    samples = [
        make_sample(
            "a.jpg", (40, 30), ["fig", "date, dried"], [(1, 2, 30, 20), (0.5, 0, 40, 30)], [{"pose": "Left"}, {}]
        ),
        make_sample("b.jpg", (50, 20), [], []),
        make_sample("c.jpg", (20, 50), ["大きい 'nut'"], [(1, 2, 3, 4)], [{"truncated": 1, "difficult": 1}]),
    ]
    write(samples, name)
    files = sorted(str(path) for path in tmp_path.glob("x.record*"))
    lists: dict[str, Any] = {f"image/object/bbox/{edge}": tf.float32 for edge in ("xmin", "ymin", "xmax", "ymax")}
    lists |= {f"image/object/{key}": tf.int64 for key in ("class/label", "difficult", "truncated")}
    lists |= {f"image/object/{key}": tf.string for key in ("class/text", "view")}
    single = {"image/height": tf.int64, "image/width": tf.int64}
    single |= {f"image/{key}": tf.string for key in ("encoded", "filename", "format", "source_id", "key/sha256")}
    spec: dict[str, Any] = {key: tf.io.VarLenFeature(kind) for key, kind in lists.items()}
    spec |= {key: tf.io.FixedLenFeature([], kind) for key, kind in single.items()}
    seen = {}
    for record in tf.data.TFRecordDataset(files, compression_type=compression):
        parsed = tf.io.parse_single_example(record, spec)
        seen[parsed["image/filename"].numpy().decode()] = parsed
    assert sorted(seen) == ["a.jpg", "b.jpg", "c.jpg"]
    for sample in samples:
        parsed = seen[sample.image.name]
        data = Path(sample.image.location or "").read_bytes()
        assert parsed["image/encoded"].numpy() == data
        assert parsed["image/key/sha256"].numpy().decode() == hashlib.sha256(data).hexdigest()
        assert tf.io.decode_image(parsed["image/encoded"]).shape == (sample.image.height, sample.image.width, 3)
        assert (parsed["image/width"], parsed["image/height"]) == (sample.image.width, sample.image.height)
        labels = [text.decode() for text in parsed["image/object/class/text"].values.numpy()]
        assert labels == list(sample.boxes.labels)
        ids = {"date, dried": 1, "fig": 2, "大きい 'nut'": 3}
        assert list(parsed["image/object/class/label"].values.numpy()) == [ids[label] for label in labels]
        for column, edge in enumerate(("xmin", "ymin", "xmax", "ymax")):
            expected = (sample.boxes.xyxy[:, column] / (sample.image.width, sample.image.height)[column % 2]).astype(
                "float32"
            )
            assert list(parsed[f"image/object/bbox/{edge}"].values.numpy()) == list(expected)
    assert list(seen["a.jpg"]["image/object/view"].values.numpy()) == [b"Left", b"Unspecified"]
    assert list(seen["c.jpg"]["image/object/truncated"].values.numpy()) == [1]
    assert list(seen["a.jpg"]["image/object/difficult"].values.numpy()) == [0, 0]


@pytest.mark.tensorflow
def test_the_bytes_are_protobufs_own(write: Callable[..., str], make_sample: Callable[..., Sample]) -> None:
    tf = pytest.importorskip("tensorflow")
    location = write([make_sample(), make_sample("b.jpg", labels=[], edges=[])])
    for record in read_records(location):
        assert isinstance(record, Record)
        assert tf.train.Example.FromString(record.data).SerializeToString(deterministic=True) == record.data


def test_a_few_damaged_images_are_left_out_unless_refused(
    make_sample: Callable[..., Sample], encode: Callable[..., bytes], tmp_path: Path
) -> None:
    good = encode(8, 8)
    for number in range(199):
        make_sample(f"{number}.jpg", (8, 8), edges=[(1, 2, 7, 6)], content=good)
    make_sample("damaged.jpg", (8, 8), content=good[: len(good) // 2])
    rows = "".join(f"{name}.jpg,8,8,fig,1,2,7,6\n" for name in ("damaged", *range(199)))
    (tmp_path / "images" / "a.csv").write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{rows}")
    source, target = f"csv:{tmp_path}/images/a.csv", f"tfrecord:{tmp_path}/out.record"
    report = boxwright.convert(source, target)
    assert (report.boxes, [Path(error.file).name for error in report.skipped]) == (199, ["damaged.jpg"])
    for limit in ("fail", "0", "0.4%"):
        with pytest.raises(DataError, match=r"damaged\.jpg: the image is cut off"):
            boxwright.convert(source, target, on_error=limit, overwrite=True)
