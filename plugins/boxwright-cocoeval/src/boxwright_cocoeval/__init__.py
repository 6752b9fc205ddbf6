"""COCO detection metrics for boxwright."""

from __future__ import annotations

from boxwright import MetricSpec, Option, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_metrics() -> list[MetricSpec]:
    """Returns the metric ``coco``."""
    return [
        MetricSpec(
            name="coco",
            summary="The twelve metrics of the COCO detection challenge, overall and per class",
            load="boxwright_cocoeval.metric:CocoMetric",
            options=(
                Option("max_detections", int, 100, "Detections per image and class that count, best first", ge=11),
            ),
            requires=("hotcoco",),
            install="python -m pip install boxwright-cocoeval",
        )
    ]
