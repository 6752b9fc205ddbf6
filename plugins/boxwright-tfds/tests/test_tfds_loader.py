"""Datasets as ``tf.data``, compared with KerasCV, and their preparation."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boxwright

pytestmark = pytest.mark.tensorflow
tfds = pytest.importorskip("tensorflow_datasets")
tf = pytest.importorskip("tensorflow")

OBJECT = (
    "<object><name>{}</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
BOXES = {
    "000005": [("chair", 263, 211, 324, 339), ("dog", 1, 1, 500, 375)],
    "000007": [("car", 141, 50, 500, 330)],
    "000009": [],
}


@pytest.fixture
def devkit(tmp_path: Path, encode: Callable[..., bytes]) -> Path:
    """Returns the folder of a tiny VOCdevkit."""
    root = tmp_path / "kit"
    year = root / "VOCdevkit" / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (year / name).mkdir(parents=True)
    for split in ("train", "val", "test"):
        (year / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(BOXES) if split == "train" else "000005")
    for name, boxes in BOXES.items():
        (year / "JPEGImages" / f"{name}.jpg").write_bytes(encode(500, 375))
        objects = "".join(OBJECT.format(*box) for box in boxes)
        size = "<size><width>500</width><height>375</height><depth>3</depth></size>"
        (year / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return root


@pytest.fixture
def builder(devkit: Path, tmp_path: Path) -> Iterator[Any]:
    """Returns the voc/2007 builder of TFDS, prepared from the tiny VOCdevkit."""
    from tensorflow_datasets.object_detection import voc

    with tfds.core.registered.skip_registration():

        class Voc(voc.Voc):  # type: ignore[misc, name-defined]
            def _split_generators(self, dl_manager: Any) -> list[Any]:
                return [
                    tfds.core.SplitGenerator(name=name, gen_kwargs={"data_path": str(devkit), "set_name": part})
                    for name, part in (("train", "train"), ("validation", "val"))
                ]

    made = Voc(config="2007", data_dir=str(tmp_path / "data"))
    made.download_and_prepare()
    return made


@pytest.mark.parametrize("bounding_box_format", ["xywh", "rel_yxyx"])
def test_batches_equal_those_of_kerascv(
    builder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounding_box_format: str
) -> None:
    pascal_voc = pytest.importorskip("keras_cv").datasets.pascal_voc
    monkeypatch.setattr(
        tfds, "load", lambda name, split, **more: (builder.as_dataset(split, shuffle_files=False), builder.info)
    )
    theirs, _ = pascal_voc.load("train", bounding_box_format, batch_size=2, shuffle_files=False)
    dataset = boxwright.open(f"tfds:voc/2007?split=train&data_dir={tmp_path / 'data'}")
    ours = dataset.to_tf(bounding_box_format=bounding_box_format, batch_size=2)
    batches = list(zip(theirs, ours, strict=True))
    assert len(batches) == 2
    for expected, batch in batches:
        assert isinstance(batch["bounding_boxes"]["boxes"], tf.RaggedTensor)
        assert np.array_equal(dense(expected["images"]), dense(batch["images"]))
        for key in ("boxes", "classes"):
            one, other = expected["bounding_boxes"][key], batch["bounding_boxes"][key]
            assert one.row_lengths().numpy().tolist() == other.row_lengths().numpy().tolist()
            np.testing.assert_allclose(dense(one), dense(other), atol=1e-4)


def dense(batch: Any) -> Any:
    """Returns the numbers of a batch, padded with zeros if it is ragged."""
    return (batch.to_tensor() if isinstance(batch, tf.RaggedTensor) else batch).numpy()


def test_coordinates_of_voc_are_unchanged(builder: Any, tmp_path: Path) -> None:
    """TFDS divides the numbers of the XML by the size without a shift; classes and poses are in lower case."""
    found = {
        sample.image.name: sample for sample in boxwright.open(f"tfds:voc?data_dir={tmp_path / 'data'}&split=train")
    }
    assert sorted(found) == ["000005.jpg", "000007.jpg", "000009.jpg"]
    chair, dog = found["000005.jpg"].boxes
    assert (chair.label, chair.coordinates) == ("chair", (263, 211, 324, 339))
    assert (dog.coordinates, dog.attributes) == ((1, 1, 500, 375), {"pose": "left", "truncated": 1})
    jpeg = builder.as_dataset("train", decoders={"image": tfds.decode.SkipDecoding()})
    bytes_of = {each["image/filename"].decode(): each["image"] for each in jpeg.as_numpy_iterator()}
    assert {name: sample.image.read() for name, sample in found.items()} == bytes_of


def test_a_dataset_is_prepared_from_local_archives(
    devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the README, except for the checksums: with archives in ``downloads/manual``, nothing is downloaded."""
    from tensorflow_datasets.object_detection import voc

    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    uri = f"tfds:voc/2007?data_dir={tmp_path / 'data'}&split=train"
    known = {Path(url).name: (url, info) for url, info in voc.Voc.url_infos.items()}
    infos = {}
    for name in ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"):
        url, info = known[name]
        assert info.filename == name
        with tarfile.open(manual / name, "w") as archive:
            archive.add(devkit / "VOCdevkit", "VOCdevkit")
        infos[url] = tfds.download.checksums.compute_url_info(manual / name)
    monkeypatch.setattr("socket.socket.connect", None)
    with pytest.raises(boxwright.DataError, match="is not prepared"):
        boxwright.open(uri)
    with pytest.raises(boxwright.DataError, match=r"TFDS cannot prepare it: .*\n.*downloads/manual"):
        boxwright.open(f"{uri}&download=true")
    monkeypatch.setattr(voc.Voc, "url_infos", infos)
    for _ in ("missing", "prepared"):
        samples = list(boxwright.open(f"{uri}&download=true"))
        assert sorted(sample.image.name for sample in samples) == ["000005.jpg", "000007.jpg", "000009.jpg"]
    assert len(list(boxwright.open(uri))) == 3
