"""The TensorFlow Object Detection API as a backend of boxwright.

The API is in a separate environment, ``boxwright env install tfod``; nothing here imports it, or TensorFlow.
"""

from __future__ import annotations

from boxwright import BackendSpec, ExporterSpec, Option, hookimpl
from boxwright.environments import EnvironmentSpec

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_tfod.conformance"

ENVIRONMENT = EnvironmentSpec(
    name="tfod",
    summary="The TensorFlow Object Detection API on TensorFlow 2.15, to train and export",
    lock="boxwright_tfod:requirements.lock.txt",
    worker="boxwright_tfod:worker",
    python="3.11",
    imports=(
        "object_detection.model_lib_v2",
        "object_detection.exporter_lib_v2",
        "object_detection.builders.model_builder",
    ),
    size=1_600_000_000,
    download=400_000_000,
)


INSTALL = 'python -m pip install "boxwright-tfod[cpu]"   (with an NVIDIA GPU: "boxwright-tfod[cuda]")'

INSTALL_LITE = 'python -m pip install "boxwright-tfod[litert]"'

PRESETS = {
    "ssd_mobilenet_v2_fpnlite_320": "SSD with MobileNetV2 and a light feature pyramid at 320x320: the quickest",
    "ssd_resnet50_fpn_640": "SSD with ResNet50 and a feature pyramid at 640x640 (RetinaNet)",
    "faster_rcnn_resnet50": "Faster R-CNN with ResNet50 at 640",
    "centernet_resnet50_fpn": "CenterNet with ResNet50 and a feature pyramid at 512",
    "efficientdet_d0": "EfficientDet-D0 at 512",
}

OPTIONS = (
    Option("config", str, None, "Your own pipeline.config instead of a preset; only its paths are changed"),
    Option(
        "checkpoint",
        str,
        None,
        "Checkpoint to start from: URL, archive or folder of the TF2 model zoo, or a run's model",
    ),
    Option("checkpoint_sha256", str, None, "Expected SHA-256 of the archive"),
    Option("checkpoint_every", int, None, "Steps between checkpoints; a tenth of all steps by default"),
    Option("steps", int, None, "Training steps, instead of --epochs; depends on the data by default"),
    Option("model.*", str, None, "Any field of the pipeline's model, for example model.ssd.freeze_batchnorm"),
    Option(
        "train_config.*", str, None, "Any field of its training, for example train_config.gradient_clipping_by_norm"
    ),
    Option("train_input_reader.*", str, None, "Any field of the reader of the training records"),
    Option("eval_config.*", str, None, "Any field of its evaluation, for example eval_config.num_visualizations"),
    Option("eval_input_reader.*", str, None, "Any field of the reader of the held-out records"),
)


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    """Returns the backend for the API's models."""
    return [
        BackendSpec(
            name="tfod",
            summary="TensorFlow Object Detection API: SSD, Faster R-CNN, CenterNet, EfficientDet",
            load="boxwright_tfod.backend:TFODBackend",
            options=OPTIONS,
            presets=PRESETS,
            requires=("tensorflow",),
            install=INSTALL,
            environment=ENVIRONMENT,
        )
    ]


@hookimpl
def boxwright_exporters() -> list[ExporterSpec]:
    """Returns the exporters for the API's models; they also recognize models that other programs exported."""
    return [
        ExporterSpec(
            name="tfod-saved-model",
            summary="SavedModel of the TensorFlow Object Detection API",
            load="boxwright_tfod.exporters:SavedModelExporter",
            detect="boxwright_tfod.recognise:saved_model",
            backends=("tfod",),
            requires=("tensorflow",),
            install=INSTALL,
        ),
        ExporterSpec(
            name="tfod-frozen-graph",
            summary="frozen_inference_graph.pb with the API's tensor names",
            load="boxwright_tfod.exporters:FrozenGraphExporter",
            detect="boxwright_tfod.recognise:frozen_graph",
            backends=("tfod",),
            requires=("tensorflow",),
            install=INSTALL,
        ),
        ExporterSpec(
            name="tfod-tflite",
            summary="TensorFlow Lite (LiteRT) model with TFLite_Detection_PostProcess, of SSD",
            load="boxwright_tfod.exporters:TFLiteExporter",
            detect="boxwright_tfod.recognise:tflite",
            precisions=("fp32", "fp16", "int8"),
            backends=("tfod",),
            requires=("ai_edge_litert",),
            install=INSTALL_LITE,
        ),
    ]
