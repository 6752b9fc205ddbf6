"""The kinds of errors of a model, and whether its scores are probabilities; hotcoco calculates both."""

from __future__ import annotations

import math
from collections.abc import Iterable

from boxwright import Detections, LabelMap, MetricResult, Sample
from boxwright_cocoeval.columns import evaluation

_KINDS = {
    "Cls": "classification",
    "Loc": "location",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}


class TideMetric:
    """The metric ``tide``: the average precision that each kind of error costs (Bolya et al. 2020).

    Args:
        iou: The IoU of a right detection.
        background: The IoU below which a detection is on the background.
        max_detections: The largest number of detections per image and class that count.
    """

    def __init__(self, iou: float = 0.5, background: float = 0.1, max_detections: int = 100) -> None:
        self.iou, self.background, self.max_detections = iou, background, max_detections

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Returns AP, the AP that would be gained without each kind of error, and the numbers of errors.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        names = ["AP", *_KINDS.values(), "false positives", "false negatives"]
        measured, objects = evaluation(pairs, label_map, self.max_detections)
        if not objects.sum():
            return MetricResult(dict.fromkeys(names, math.nan), main="AP")
        found = measured.tide_errors(pos_thr=self.iou, bg_thr=self.background)
        gains = [found["delta_ap"][key] for key in (*_KINDS, "FP", "FN")]
        values = dict(zip(names, map(float, (found["ap_base"], *gains)), strict=True))
        counts = {f"{name} errors": float(found["counts"][key]) for key, name in _KINDS.items()}
        notes = [f"AP at an IoU of {self.iou:g}; the others are what it would gain without a kind of error"]
        return MetricResult(values | counts, main="AP", notes=notes)


class CalibrationMetric:
    """The metric ``calibration``: whether detections with a score of 0.8 are right in 80 % of all cases.

    Args:
        bins: The number of ranges of scores.
        iou: The IoU of a right detection: 0.5, 0.55, ... or 0.95.
        max_detections: The largest number of detections per image and class that count.
    """

    def __init__(self, bins: int = 10, iou: float = 0.5, max_detections: int = 100) -> None:
        self.bins, self.iou, self.max_detections = bins, iou, max_detections

    def __call__(self, pairs: Iterable[tuple[Sample, Detections]], label_map: LabelMap) -> MetricResult:
        """Returns the expected and the maximum calibration error, and the reliability curve.

        Raises:
            DataError: A ground-truth box or a detection has a class that is not in the label map.
        """
        measured, _ = evaluation(pairs, label_map, self.max_detections)
        found = measured.calibration(n_bins=self.bins, iou_threshold=self.iou)
        some = found["num_detections"] > 0
        values = {"ECE": found["ece"], "MCE": found["mce"]} if some else {"ECE": math.nan, "MCE": math.nan}
        for each in found["bins"]:
            name = f"right at {each['bin_lower']:.3g}-{each['bin_upper']:.3g}"
            values[name] = each["avg_accuracy"] if each["count"] else math.nan
        per_class = {name: {"ECE": found["per_category"].get(name, math.nan)} for name in label_map.names}
        return MetricResult(values, per_class, main="ECE", lower_is_better=True)
