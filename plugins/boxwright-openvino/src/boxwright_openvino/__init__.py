"""OpenVINO exports for boxwright: Intel CPUs, GPUs and NPUs."""

from boxwright import ExporterSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporters ``openvino`` and ``openvino-myriad``."""
    return [
        ExporterSpec(
            name="openvino",
            summary="OpenVINO, for Intel CPUs, GPUs and NPUs",
            load="boxwright_openvino.exporter:OpenVINOExporter",
            precisions=("fp32", "fp16", "int8"),
            calibrated=("int8",),
            devices=("CPU", "GPU", "NPU", "AUTO"),
            requires=("openvino",),
            install='python -m pip install "boxwright-openvino[cpu]"',
        ),
        ExporterSpec(
            name="openvino-myriad",
            summary="OpenVINO 2022.3 and 2021.4, for the Movidius Neural Compute Stick",
            load="boxwright_openvino.myriad:MyriadExporter",
            precisions=("fp16",),
            requires=("openvino",),
            install='python -m pip install "boxwright-openvino[cpu]"',
        ),
    ]
