"""TensorFlow Datasets: a VOC builder that prepares two pictures on the spot, judged by TFDS and KerasCV themselves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import DataError

pytestmark = pytest.mark.tensorflow
tfds = pytest.importorskip("tensorflow_datasets")


def picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(width).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


EXAMPLES = {
    "train": [
        ("000001.jpg", (50, 40), [("dog", (4, 8, 30, 38), {"is_difficult": True, "pose": "frontal"})]),
        ("000002.jpg", (60, 80), []),
    ],
    "test": [("000003.jpg", (64, 64), [("person", (0, 0, 64, 64), {}), ("cat", (1, 2, 3, 4), {"is_truncated": True})])],
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a prepared builder with the features of ``voc``."""
    from tensorflow_datasets.object_detection import voc

    with tfds.core.registered.skip_registration():

        class Voc(voc.Voc):  # type: ignore[misc]
            def _split_generators(self, manager: Any) -> dict[str, Any]:
                return {split: self._examples(split) for split in EXAMPLES}

            def _examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
                for name, (width, height), objects in EXAMPLES[split]:
                    rows = [
                        {
                            "bbox": tfds.features.BBox(y1 / height, x1 / width, y2 / height, x2 / width),
                            "label": label,
                            "pose": more.get("pose", "unspecified"),
                            "is_truncated": more.get("is_truncated", False),
                            "is_difficult": more.get("is_difficult", False),
                        }
                        for label, (x1, y1, x2, y2), more in objects
                    ]
                    labels = sorted({label for label, _, _ in objects})
                    yield (
                        name,
                        {
                            "image": io.BytesIO(picture(width, height)),
                            "image/filename": name,
                            "objects": rows,
                            "labels": labels,
                            "labels_no_difficult": labels,
                        },
                    )

    builder = Voc(data_dir=str(tmp_path_factory.mktemp("tfds")), config="2007")
    builder.download_and_prepare()
    return Path(builder.data_path)


def test_examples_are_samples_with_the_bytes_as_they_are(prepared: Path) -> None:
    samples = {sample.image.name: sample for sample in boxwright.open(f"tfds:{prepared}?split=train")}
    assert sorted(samples) == ["000001.jpg", "000002.jpg"]
    dog, empty = samples["000001.jpg"], samples["000002.jpg"]
    assert dog.image.data == picture(50, 40)
    assert (dog.image.width, dog.image.height, dog.split) == (50, 40, "train")
    assert dog.boxes.labels == ("dog",)
    assert dog.boxes.edges[0] == pytest.approx((4, 8, 30, 38), abs=1e-4)
    assert dog.boxes.attributes[0]["difficult"] == 1
    assert "truncated" not in dog.boxes.attributes[0]
    assert dog.boxes.attributes[0]["pose"] == "frontal"
    assert not empty.boxes


def test_all_splits_and_the_classes(prepared: Path) -> None:
    data = boxwright.open(f"tfds:{prepared}")
    assert data.info.splits == ("test", "train") or set(data.info.splits) == {"train", "test"}
    assert data.info.num_samples == len(list(data)) == 3
    assert data.label_map.names[:3] == ("aeroplane", "bicycle", "bird")
    assert len(data.label_map) == 20
    assert data.label_map.id("dog") == 12


def test_to_tf_is_what_kerascv_makes_of_the_same_builder(prepared: Path) -> None:
    keras_cv = pytest.importorskip("keras_cv")
    theirs = tfds.builder_from_directory(str(prepared)).as_dataset(split="test", shuffle_files=False)
    (batch,) = boxwright.open(f"tfds:{prepared}?split=test").to_tf(bounding_box_format="xywh", batch_size=2)
    (example,) = theirs
    image = example["image"]
    asked = keras_cv.bounding_box.convert_format(
        example["objects"]["bbox"], source="rel_yxyx", target="xywh", images=image
    ).numpy()
    boxes, classes = batch["bounding_boxes"]["boxes"], batch["bounding_boxes"]["classes"]
    found = boxes.to_tensor().numpy()[0] if hasattr(boxes, "to_tensor") else boxes.numpy()[0]
    numbers = classes.to_tensor().numpy()[0] if hasattr(classes, "to_tensor") else classes.numpy()[0]
    assert found == pytest.approx(asked, abs=1e-3)
    assert numbers.tolist() == example["objects"]["label"].numpy().tolist()


def test_what_is_not_there_is_said_and_nothing_is_downloaded(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(DataError, match=r"not prepared[\s\S]*downloads/manual"):
        boxwright.open(f"tfds:voc/2007?data_dir={tmp_path}")
    with pytest.raises(DataError, match="no such dataset"):
        boxwright.open(f"tfds:no_such_dataset?data_dir={tmp_path}")
    with pytest.raises(DataError, match="no split 'dev'"):
        boxwright.open(f"tfds:{prepared}?split=dev")
    with pytest.raises(DataError, match=r"no boxes|not prepared"):
        boxwright.open(f"tfds:mnist?data_dir={tmp_path}")
