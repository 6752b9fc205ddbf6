"""KerasHub's RetinaNet for boxwright, on TensorFlow, JAX or PyTorch.

Nothing here imports a framework.
"""

from boxwright import BackendSpec, Option, WeightsSpec, hookimpl
from boxwright_retinanet.options import DECODER_OPTIONS, RECIPE_OPTIONS

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_kerashub.conformance"

INSTALL = (
    'python -m pip install "boxwright-kerashub[jax]"   (or [tensorflow], [torch]), and then: '
    "python -m pip install --no-deps keras-hub==0.32.0"
)
FRAMEWORKS = ("tensorflow", "jax", "torch")
"""The frameworks, the preferred one first."""

PRESETS = {
    "tiny": "A narrow RetinaNet with 1 M parameters, from scratch, for CPUs and small datasets",
    "resnet18": "ResNet18 V2 from scratch",
    "resnet50": "ResNet50 V2 from scratch",
    "resnet_18_imagenet": "ResNet18 trained on ImageNet",
    "resnet_50_imagenet": "ResNet50 trained on ImageNet",
    "dfine_nano_coco": "D-FINE nano trained on COCO; not trained further",
    "dfine_small_coco": "D-FINE small trained on COCO; not trained further",
    "dfine_medium_coco": "D-FINE medium trained on COCO; not trained further",
    "dfine_large_coco": "D-FINE large trained on COCO; not trained further",
    "dfine_xlarge_coco": "D-FINE extra large trained on COCO; not trained further",
}

DFINE = tuple(name for name in PRESETS if name.startswith("dfine_"))
"""The presets whose pretrained detector is used unchanged."""

WEIGHTS = tuple(
    WeightsSpec(
        name=f"kerashub_{name}",
        summary=summary,
        origin="download",
        presets=(name,),
        required=False,
        trained_on="COCO" if name in DFINE else "ImageNet",
        homepage="https://keras.io/keras_hub/presets/",
    )
    for name, summary in PRESETS.items()
    if name in DFINE or name.endswith("_imagenet")
)

_OPTIONS = (
    Option(
        "framework",
        FRAMEWORKS,
        None,
        "Framework of Keras; by default that of KERAS_BACKEND, or the first one that is installed",
    ),
    Option("network", ("boxwright", "kerashub"), None, "Pyramid, heads and anchors: boxwright's or KerasHub's own"),
    *(option for option in RECIPE_OPTIONS if option.name not in ("freeze_levels", "freeze_statistics")),
    *DECODER_OPTIONS,
    Option(
        "weights",
        str,
        None,
        "Pretrained weights: a preset folder of KerasHub, its name, or none; by default those of the preset",
    ),
    Option("cache", ("auto", "memory", "disk"), "auto", "Where decoded images are kept during training"),
)


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    """The RetinaNet backend."""
    return [
        BackendSpec(
            name="kerashub",
            summary="KerasHub RetinaNet on TensorFlow, JAX or PyTorch",
            load="boxwright_kerashub.entry:KerasHubBackend",
            check="boxwright_kerashub.checks:check",
            options=_OPTIONS,
            presets=PRESETS,
            weights=WEIGHTS,
            requires=("keras", "keras_hub"),
            install=INSTALL,
        )
    ]
