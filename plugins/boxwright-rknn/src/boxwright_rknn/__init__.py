"""RKNN exports for boxwright: the NPUs of Rockchip's boards.

Rockchip's toolkit is in a separate environment, ``boxwright env install rknn``; nothing here imports it.
"""

from boxwright import ExporterSpec, Option, hookimpl
from boxwright.environments import EnvironmentSpec

boxwright_api = (1, 1)

TARGETS = ("rk3588", "rk3576", "rk3568", "rk3566")

ENVIRONMENT = EnvironmentSpec(
    name="rknn",
    summary="Rockchip's rknn-toolkit2, which is not open source, to convert and simulate",
    lock="boxwright_rknn:requirements.lock.txt",
    worker="boxwright_rknn:worker",
    python="3.11",
    imports=("rknn.api",),
    size=600_000_000,
    download=250_000_000,
)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporter ``rknn``."""
    return [
        ExporterSpec(
            name="rknn",
            summary="RKNN, for the NPUs of Rockchip: RK3588, RK3576, RK3568, RK3566",
            load="boxwright_rknn.exporter:RKNNExporter",
            options=(Option("target", TARGETS, TARGETS[0], "The chip"),),
            precisions=("fp16", "int8"),
            calibrated=("int8",),
            requires=("onnx", "onnxruntime"),
            install='python -m pip install "boxwright-rknn[cpu]"',
            environment=ENVIRONMENT,
        )
    ]
