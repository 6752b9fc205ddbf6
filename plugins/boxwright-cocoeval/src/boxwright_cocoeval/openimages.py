"""Average precision as the Open Images challenges define it.

The rule is that of the TensorFlow Object Detection API (``per_image_evaluation.py``). In hotcoco (1.3.0), a detection
takes the best object that is free; by the rule, it takes the best one, and is wrong if that is not free.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import hotcoco
import numpy as np
from numpy.typing import NDArray

from boxwright import DataError, Detections, LabelMap, MetricResult, Sample, share_inside
from boxwright.models import Scene
from boxwright.storage import read_file
from boxwright_cocoeval.voc import Ranked, match


class OpenImagesMetric:
    """The metric ``openimages``: average precision at an IoU of 0.5, with boxes around groups.

    A group counts as one object: its best detection is right, and the others in it are ignored. With a hierarchy, an
    object is one of each class above its own, too. A region of a class that is not in the label map is ignored.

    Args:
        hierarchy: A file with the hierarchy, in the form of ``bbox_labels_600_hierarchy.json``, whose ``LabelName`` are
            the names of the label map; empty for none.
        iou: The lowest IoU of a right detection, and the lowest share of a detection in a group.
        draws: The number of draws for the interval; 0 for none.
    """

    def __init__(self, hierarchy: str = "", iou: float = 0.5, draws: int = 1000) -> None:
        self.hierarchy, self.iou, self.draws = hierarchy, iou, draws

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Measures detections against the ground truth.

        Raises:
            DataError: A class is not in the label map, or the hierarchy cannot be read.
        """
        above = self._ancestors(label_map)
        rows: list[NDArray[np.float64]] = [np.zeros((0, 4))]
        objects: list[NDArray[np.int64]] = []
        for sample, found in pairs:
            scene = _expanded(Scene.of(sample, found, label_map), above)
            right = match_with_groups(scene, self.iou)
            columns = (scene.scores, right, scene.classes, np.full(len(right), len(objects)))
            rows.append(np.column_stack(columns)[right >= 0])
            objects.append(np.bincount(scene.truth_classes[scene.truth_classes >= 0], minlength=len(label_map)))
        scores, hits, classes, images = np.concatenate(rows).T
        table = Ranked(scores, hits > 0, classes.astype(np.int64), images.astype(np.int64))
        counts = np.array(objects, np.float64).reshape(len(objects), len(label_map))
        return table.result(counts, label_map, "all", self.draws)

    def _ancestors(self, label_map: LabelMap) -> dict[int, list[int]]:
        """Returns the classes above each class."""
        if not self.hierarchy:
            return {}
        numbers = {name: number for number, name in enumerate(label_map.names)}
        content = read_file(self.hierarchy, "check the option hierarchy of the metric")
        try:
            tree = hotcoco.Hierarchy.from_dict(json.loads(content or b""), numbers)
            return {number: [each for each in tree.ancestors(number) if each != number] for number in numbers.values()}
        except (ValueError, KeyError, TypeError) as error:
            problem = f"it is not a hierarchy of Open Images: {error}"
            raise DataError(self.hierarchy, problem, "use the file of the challenge") from None


def _expanded(scene: Scene, above: dict[int, list[int]]) -> Scene:
    """Adds each object as one of the classes above its own."""
    pairs = [(row, each) for row, number in enumerate(scene.truth_classes) for each in above.get(int(number), [])]
    pairs = [(row, number) for row, number in pairs if number < len(scene.objects)]
    if not pairs:
        return scene
    rows, numbers = (np.array(column) for column in zip(*pairs, strict=True))
    return scene._replace(
        truth=np.concatenate([scene.truth, scene.truth[rows]]),
        truth_classes=np.concatenate([scene.truth_classes, numbers]),
        regions=np.concatenate([scene.regions, scene.regions[rows]]),
    )


def match_with_groups(scene: Scene, least: float) -> NDArray[np.int64]:
    """Matches the detections in one image: 1 if a detection is right, 0 if not, and -1 if it is ignored."""
    groups = scene.regions
    single = scene._replace(truth=scene.truth[~groups], truth_classes=scene.truth_classes[~groups])
    right, _ = match(single, np.zeros(len(single.truth), bool), least)
    others = np.flatnonzero(right == 0)
    if not len(others) or not groups.any():
        return right
    of_group = scene.truth_classes[groups]
    share = share_inside(scene.boxes[others], scene.truth[groups])
    share[(scene.classes[others, None] != of_group) & (of_group != -1)] = -1.0
    best = share.argmax(axis=1)
    inside = share.max(axis=1) >= least
    right[others[inside]] = -1
    named = np.flatnonzero(inside & (of_group[best] != -1))
    _, first = np.unique(best[named], return_index=True)
    right[others[named[first]]] = 1
    return right
