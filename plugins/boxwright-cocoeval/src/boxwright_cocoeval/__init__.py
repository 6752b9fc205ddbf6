"""Detection metrics for boxwright: COCO, PASCAL VOC, Open Images, TIDE's kinds of errors, calibration."""

from __future__ import annotations

from boxwright import MetricSpec, Option, hookimpl

boxwright_api = (1, 1)

boxwright_conformance = "boxwright_cocoeval.conformance"


@hookimpl
def boxwright_metrics() -> list[MetricSpec]:
    """Returns the metrics."""
    most = Option("max_detections", int, 100, "Detections per image and class that count, best first", ge=11)
    draws = Option("draws", int, 1000, "Resamples of the images for the intervals; 0 for none", ge=0)
    iou = Option("iou", float, 0.5, "IoU of a right detection", gt=0, le=1)

    def metric(name: str, summary: str, load: str, *options: Option) -> MetricSpec:
        return MetricSpec(
            name=name,
            summary=summary,
            load=f"boxwright_cocoeval.{load}",
            options=options,
            requires=("hotcoco",),
            install="python -m pip install boxwright-cocoeval",
        )

    return [
        metric(
            "coco",
            "The twelve metrics of the COCO detection challenge, overall and per class",
            "metric:CocoMetric",
            most,
            Option("iou", str, "", "IoU thresholds to average over, such as 0.3/0.5; COCO's ten by default"),
            Option("sizes", str, "", "Sides between small, medium and large objects, such as 16/64; 32/96 by default"),
            draws,
        ),
        metric(
            "voc",
            "Mean average precision of PASCAL VOC, which ignores difficult objects",
            "voc:VocMetric",
            Option("points", ("all", "11"), "all", "The area under the curve, or the mean at 11 recall values (2007)"),
            iou,
            draws,
        ),
        metric(
            "openimages",
            "Mean average precision of the Open Images challenges, with groups and a hierarchy",
            "openimages:OpenImagesMetric",
            Option("hierarchy", str, "", "File with the hierarchy of the classes, like the challenge's"),
            iou,
            draws,
        ),
        metric(
            "tide",
            "What each kind of error costs in average precision",
            "diagnostics:TideMetric",
            iou,
            Option("background", float, 0.1, "IoU below which a detection is on the background", ge=0, le=1),
            most,
        ),
        metric(
            "calibration",
            "Whether scores are probabilities: calibration errors and the reliability curve",
            "diagnostics:CalibrationMetric",
            Option("bins", int, 10, "Number of ranges of scores", ge=1, le=100),
            Option("iou", float, 0.5, "IoU of a right detection: 0.5, 0.55, ... or 0.95", ge=0.5, le=0.95),
            most,
        ),
    ]
