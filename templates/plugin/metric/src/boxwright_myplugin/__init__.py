"""The metric myplugin for boxwright."""

from boxwright import MetricSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_metrics() -> list[MetricSpec]:
    """The metric ``myplugin``."""
    return [
        MetricSpec(
            name="myplugin",
            summary="Average overlap of each object with its best detection",
            # Imported on first use, not when the metric is listed.
            load="boxwright_myplugin.metric:MyPluginMetric",
        ),
    ]
