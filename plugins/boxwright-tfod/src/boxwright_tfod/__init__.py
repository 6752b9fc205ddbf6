"""The TensorFlow Object Detection API as a backend of boxwright.

The API is in a separate environment, ``boxwright env install tfod``; nothing here imports it, or TensorFlow.
"""

from __future__ import annotations

from boxwright import BackendSpec, ExporterSpec, Option, WeightsSpec, hookimpl
from boxwright.environments import EnvironmentSpec

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_tfod.conformance"

ENVIRONMENT = EnvironmentSpec(
    name="tfod",
    summary="The TensorFlow Object Detection API on TensorFlow 2.15, to train and export",
    lock="boxwright_tfod:requirements.lock.txt",
    gpu_lock="boxwright_tfod:requirements-gpu.lock.txt",
    worker="boxwright_tfod:worker",
    python="3.11",
    imports=(
        "object_detection.model_lib_v2",
        "object_detection.exporter_lib_v2",
        "object_detection.builders.model_builder",
    ),
    size=1_600_000_000,
    download=400_000_000,
    gpu_size=5_000_000_000,
    gpu_download=2_600_000_000,
)


INSTALL = 'python -m pip install "boxwright-tfod[cpu]"   (with an NVIDIA GPU: "boxwright-tfod[cuda]")'

INSTALL_LITE = 'python -m pip install "boxwright-tfod[litert]"'

PRESETS = {
    "ssd_mobilenet_v2_fpnlite_320": "SSD with MobileNetV2 and a light feature pyramid at 320x320: the quickest",
    "ssd_mobilenet_v2": "SSD with MobileNetV2 at 300x300; from the detector of MediaPipe Objectron, if it is imported",
    "ssd_resnet50_fpn_640": "SSD with ResNet50 and a feature pyramid at 640x640 (RetinaNet)",
    "faster_rcnn_resnet50": "Faster R-CNN with ResNet50 at 640",
    "centernet_resnet50_fpn": "CenterNet with ResNet50 and a feature pyramid at 512",
    "efficientdet_d0": "EfficientDet-D0 at 512",
}

_ZOO = {
    "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8": "ssd_mobilenet_v2_fpnlite_320",
    "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8": "ssd_resnet50_fpn_640",
    "faster_rcnn_resnet50_v1_640x640_coco17_tpu-8": "faster_rcnn_resnet50",
    "centernet_resnet50_v1_fpn_512x512_coco17_tpu-8": "centernet_resnet50_fpn",
    "efficientdet_d0_coco17_tpu-32": "efficientdet_d0",
}
"""The archives of the model zoo, and the preset with the architecture of each."""

_ZOO_PAGE = "https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf2_detection_zoo.md"

WEIGHTS = (
    WeightsSpec(
        name="objectron",
        summary="SSD MobileNetV2 300, 23 classes of Open Images V4, from MediaPipe Objectron",
        origin="import",
        presets=("ssd_mobilenet_v2", "ssd_mobilenet_v2_fpnlite_320"),
        required=False,
        trained_on="Open Images V4",
        license="Apache-2.0",
        homepage="https://google.github.io/mediapipe/solutions/objectron",
        size=9_987_912,
        sha256="470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e",
        file="package/objectron_solution_packed_assets.data",
        npm="@mediapipe/objectron@0.4.1675468480",
        convert="boxwright_tfod.objectron:convert",
    ),
    *(
        WeightsSpec(
            name=name,
            summary=f"{preset} of the TensorFlow 2 model zoo: --set checkpoint={name}",
            origin="download",
            presets=(preset,),
            required=False,
            trained_on="COCO 2017",
            license="Apache-2.0",
            homepage=_ZOO_PAGE,
        )
        for name, preset in _ZOO.items()
    ),
)

OPTIONS = (
    Option("config", str, None, "Your own pipeline.config instead of a preset; only its paths are changed"),
    Option(
        "checkpoint",
        str,
        None,
        "Checkpoint to start from: a name of `boxwright weights list`, a URL, archive or folder of the TF2 model zoo, "
        "a run's model, or none; imported weights by default",
    ),
    Option("checkpoint_sha256", str, None, "Expected SHA-256 of the archive"),
    Option("checkpoint_every", int, None, "Steps between checkpoints; a tenth of all steps by default", ge=1),
    Option("steps", int, None, "Training steps, instead of --epochs; depends on the data by default", ge=1),
    Option("eval_steps", int, None, "Steps between evaluations of --val, instead of --eval-every", ge=1),
    Option(
        "early_stopping", int, None, "Stop after this many epochs without a higher AP on --val; off by default", ge=1
    ),
    Option("final_weights", ("best", "last"), "best", "Checkpoint that becomes the model, if there is a --val"),
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
            weights=WEIGHTS,
            check="boxwright_tfod.checks:check",
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
