"""Detections and datasets for supervision and FiftyOne, which users install themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxwright.datasets.dataset import Data, open_dataset
from boxwright.errors import DataError, MissingLibraryError, UsageError
from boxwright.label_map import LabelMap
from boxwright.schemas import Detections, ImageRef, Sample


def to_supervision(found: Detections | Sample, label_map: LabelMap) -> Any:
    """Returns the boxes of an image as ``supervision.Detections``.

    ``class_id`` counts from 0 in the order of ``label_map``, ``confidence`` is the score if every box has one, and the
    names of the classes are ``data["class_name"]``.

    Args:
        found: The detections of a model, or an annotated image.
        label_map: The classes, such as ``dataset.label_map``.

    Raises:
        MissingLibraryError: supervision is not installed.
        DataError: A class is not in the label map.
    """
    try:
        import supervision
    except ImportError:
        raise MissingLibraryError("supervision is not installed", "run: python -m pip install supervision") from None
    boxes = found.boxes
    unknown = [label for label in boxes.labels if label not in label_map]
    if unknown:
        raise DataError(found.image.name, f"the class {unknown[0]!r} is not in the label map", "pass its label map")
    scores = [attributes.get("score") for attributes in boxes.attributes]
    return supervision.Detections(
        xyxy=boxes.xyxy.astype(np.float32),
        class_id=np.array([label_map.index(label) for label in boxes.labels], np.int64),
        confidence=None if None in scores else np.array(scores, np.float32),
        data={"class_name": np.array(boxes.labels, str)},
    )


def from_supervision(detections: Any, image: ImageRef, label_map: LabelMap | None = None) -> Detections:
    """Returns ``supervision.Detections`` of an image, best first.

    Args:
        detections: With ``confidence``, and with the names of the classes as ``data["class_name"]`` or with
            ``class_id``.
        image: The image.
        label_map: The classes, where ``detections`` has only ``class_id``: 0 is its first class.

    Raises:
        UsageError: The detections have no scores, or their classes no names.
    """
    count = len(detections.xyxy)
    names = detections.data.get("class_name")
    if names is None and label_map is not None and detections.class_id is not None:
        known = label_map.names
        if any(not 0 <= number < len(known) for number in detections.class_id):
            raise UsageError("a class_id is not in the label map", "pass the label map of the model")
        names = [known[number] for number in detections.class_id]
    if names is None and count:
        raise UsageError("the detections have no names of classes", "pass label_map")
    if detections.confidence is None and count:
        raise UsageError("the detections have no scores", "set their confidence")
    labels = [] if names is None else [str(name) for name in names]
    scores = [] if detections.confidence is None else detections.confidence
    return Detections.from_arrays(image, labels, np.asarray(detections.xyxy, np.float64), scores)


def to_fiftyone(data: Data, name: str | None = None, *, field: str = "ground_truth") -> Any:
    """Returns a dataset as a ``fiftyone.Dataset``, in the database of FiftyOne.

    Each box is a ``fiftyone.Detection`` with its attributes; a score is its ``confidence``. The split is a tag.

    Args:
        data: A dataset, or its URI.
        name: Its name in FiftyOne; by default FiftyOne chooses one.
        field: The field of the boxes.

    Raises:
        MissingLibraryError: FiftyOne is not installed.
        DataError: An item cannot be read, or an image has no location.
    """
    try:
        import fiftyone
    except ImportError:
        raise MissingLibraryError("FiftyOne is not installed", "run: python -m pip install fiftyone") from None
    made = []
    for sample in open_dataset(data):
        image = sample.image
        if image.location is None:
            remedy = "convert the dataset to a format with image files first"
            raise DataError(sample.source or image.name, "FiftyOne needs the location of this image", remedy)
        boxes = []
        for label, (xmin, ymin, xmax, ymax), attributes in zip(
            sample.boxes.labels, sample.boxes.coordinates, sample.boxes.attributes, strict=True
        ):
            more = {key: value for key, value in attributes.items() if key not in ("id", "score", "label")}
            boxes.append(
                fiftyone.Detection(
                    label=label,
                    bounding_box=[
                        xmin / image.width,
                        ymin / image.height,
                        (xmax - xmin) / image.width,
                        (ymax - ymin) / image.height,
                    ],
                    confidence=attributes.get("score"),
                    **more,
                )
            )
        made.append(
            fiftyone.Sample(
                filepath=image.location,
                tags=[] if sample.split is None else [sample.split],
                metadata=fiftyone.ImageMetadata(width=image.width, height=image.height),
                **{field: fiftyone.Detections(detections=boxes)},
            )
        )
    dataset = fiftyone.Dataset(name)
    dataset.add_samples(made)
    return dataset
