"""Ground truth and detections as hotcoco takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import hotcoco
import numpy as np

from boxwright import Detections, LabelMap, Sample
from boxwright.models import Scene


def evaluation(pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap, most: int) -> tuple[Any, Any]:
    """Returns an evaluation of hotcoco whose boxes have been matched, and the number of objects of each class.

    Only numbers are kept of each image. A region of a class that is not in the label map counts for every class that
    was detected in the image.

    Args:
        pairs: The ground truth and the detections of each image; read once.
        label_map: All classes.
        most: The largest number of detections per image and class that count.

    Raises:
        DataError: A ground-truth box or a detection has a class that is not in the label map.
    """
    ids = np.array([item.id for item in label_map.items], np.int64)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    rows: list[Any] = []
    objects = np.zeros(len(ids), np.int64)
    for number, (sample, found) in enumerate(pairs, start=1):
        scene = Scene.of(sample, found, label_map)
        objects += scene.objects
        images.append({"id": number, "width": sample.image.width, "height": sample.image.height})
        for box, place, region in zip(scene.truth.tolist(), scene.truth_classes, scene.regions, strict=True):
            width, height = box[2] - box[0], box[3] - box[1]
            for each in [place] if place >= 0 else np.unique(scene.classes):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": int(ids[each]),
                        "bbox": [box[0], box[1], width, height],
                        "area": width * height,
                        "iscrowd": int(region),
                    }
                )
        corner, size = scene.boxes[:, :2], scene.boxes[:, 2:] - scene.boxes[:, :2]
        image = np.full(len(corner), number)
        rows.append(np.column_stack([image, corner, size, scene.scores, ids[scene.classes]]))
    categories = [{"id": item.id, "name": item.name} for item in label_map.items]
    truth = hotcoco.COCO({"images": images, "annotations": annotations, "categories": categories})
    detections = truth.load_res(np.concatenate(rows) if rows else np.zeros((0, 7)))
    measured: Any = hotcoco.COCOeval(truth, detections, "bbox")
    measured.params.max_dets = [1, 10, most]
    measured.evaluate()
    return measured, objects
