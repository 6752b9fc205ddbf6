"""The metric myplugin for boxwright."""

from boxwright import MetricSpec, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this works with
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_metrics() -> list[MetricSpec]:
    """The metric ``myplugin``."""
    return [
        MetricSpec(
            name="myplugin",
            summary="How well the best detection overlaps an object, on average",
            # Imported when the metric is used, not when it is listed.
            load="boxwright_myplugin.metric:MyPluginMetric",
        ),
    ]
