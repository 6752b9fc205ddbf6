"""The networks: one for CPUs, two from scratch, and KerasCV's pretrained backbones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import keras_cv

from boxwright.models import find_weights, models_trusted, untrusted_model
from boxwright_kerascv import OBJECTRON, PACKAGED, PRESETS as _DESCRIPTIONS
from boxwright_kerascv.efficientnet_lite import efficientnet_lite, load_imagenet
from boxwright_kerascv.layers import Detector, KerasCVPyramid, NarrowBackbone, kerascv_head
from boxwright_kerascv.mobilenet_v2 import WEIGHTS_FILE, MobileNetV2
from boxwright_kerascv.targets import TargetEncoder
from boxwright_kerascv.transfer import WeightsError
from boxwright_retinanet.anchors import AnchorSettings
from boxwright_retinanet.layers import Head, Pyramid
from boxwright_retinanet.targets import BOX_VARIANCE


@dataclass(frozen=True)
class Preset:
    """The network of a preset.

    Attributes:
        name: The name of the preset, and KerasCV's name of pretrained weights.
        channels: The channels of the pyramid and the heads.
        convolutions: The number of hidden convolutions of each head; four in Lin et al. 2017, section 4.
        pretrained: Whether the backbone has pretrained weights.
    """

    name: str
    channels: int = 256
    convolutions: int = 4
    pretrained: bool = True


_FROM_SCRATCH = {
    "tiny": Preset("tiny", 64, 1, pretrained=False),
    "resnet18": Preset("resnet18", pretrained=False),
    "resnet50": Preset("resnet50", pretrained=False),
}
_LOCAL = {name: Preset(name, 64, 1) for name in (*PACKAGED, *OBJECTRON.presets)}
PRESETS = {name: (_FROM_SCRATCH | _LOCAL).get(name, Preset(name)) for name in _DESCRIPTIONS}


def build_network(
    preset: str,
    *,
    num_classes: int,
    image_size: tuple[int, int],
    anchors: AnchorSettings,
    weights: str | None = None,
    backbone: Any = None,
    convolutions: int | None = None,
    kerascv_heads: bool = False,
    freeze_backbone: bool = False,
    seed: int = 0,
) -> Detector:
    """Returns a RetinaNet for images from 0 to 255 and boxes as ``xyxy`` in pixels of its input.

    Args:
        preset: A key of :data:`PRESETS`.
        num_classes: The number of classes without the background, at least 1.
        image_size: Height and width of the input in pixels, multiples of 32.
        anchors: Sizes, scales and aspect ratios; the number of sizes is the number of pyramid levels, from
            ``first_level`` on.
        weights: ``"none"`` for random weights, or a ``.keras`` file with the architecture of the backbone; by default,
            the backbone has the pretrained weights of its preset. Another file means that the weights come later.
        backbone: A KerasCV backbone to use instead of the preset's, which is then neither created nor downloaded.
        convolutions: The number of hidden convolutions of each head, if not the preset's.
        kerascv_heads: Whether to use KerasCV's own pyramid and heads, which require five levels.
        freeze_backbone: Whether the backbone's weights and batch normalization statistics stay unchanged.
        seed: The seed of the initial weights; it seeds Python, NumPy and TensorFlow for the whole process.

    Returns:
        The model, not compiled. Its output is a dict: ``box`` ``(batch, anchors, 4)``, encoded; ``classification``
        ``(batch, anchors, num_classes)``, logits.

    Raises:
        ValueError: The preset is unknown, there is no class, or a size is not a multiple of 32.
        WeightsError: Pretrained weights cannot be downloaded, or ``weights`` is not the backbone of a network,
            or the backbone has no such level.
        DataError: The file of pretrained weights has another digest.
        MissingLibraryError: The package of pretrained weights is not installed.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
    if num_classes < 1:
        raise ValueError(f"a detector needs at least 1 class, not {num_classes}")
    height, width = image_size
    if height < 32 or width < 32 or height % 32 or width % 32:
        raise ValueError(f"the input's height and width must be multiples of 32, not {height} and {width}")
    keras.utils.set_random_seed(seed)
    entry = PRESETS[preset]
    hidden = entry.convolutions if convolutions is None else convolutions
    if backbone is None:
        backbone = _backbone(entry, (height, width, 3), weights)
    # Anchors are float32 with every precision: bfloat16 rounds a coordinate of 300 pixels to even numbers.
    generator = keras_cv.layers.AnchorGenerator(
        bounding_box_format="xyxy",
        sizes=list(anchors.sizes),
        scales=list(anchors.scales),
        aspect_ratios=list(anchors.aspect_ratios),
        strides=list(anchors.strides),
        clip_boxes=True,
        dtype="float32",
    )
    encoder = TargetEncoder(
        bounding_box_format="xyxy", anchor_generator=generator, box_variance=list(BOX_VARIANCE), dtype="float32"
    )
    outputs = {"classification_head": anchors.per_location * num_classes, "box_head": anchors.per_location * 4}
    if kerascv_heads:
        pyramid: Any = KerasCVPyramid()
        heads = {name: kerascv_head(count, background=name != "box_head") for name, count in outputs.items()}
    else:
        pyramid = Pyramid(entry.channels, len(anchors.sizes), anchors.first_level)
        heads = {
            name: Head(count, entry.channels, hidden, background=name != "box_head") for name, count in outputs.items()
        }
    if missing := set(pyramid.names) - set(backbone.pyramid_level_inputs):
        raise WeightsError(
            f"the backbone has no {', '.join(sorted(missing))}, only {', '.join(sorted(backbone.pyramid_level_inputs))}"
        )
    model = Detector(
        backbone=backbone,
        num_classes=num_classes,
        bounding_box_format="xyxy",
        label_encoder=encoder,
        feature_pyramid=pyramid,
        **heads,
    )
    if freeze_backbone:
        model.backbone.trainable = False
    return model


def freeze(backbone: Any, levels: int, statistics: bool) -> None:
    """Keeps a part of a backbone unchanged during training.

    Args:
        backbone: A KerasCV backbone.
        levels: The first pyramid levels whose layers keep their weights: 2 for all layers up to P2.
        statistics: Whether all batch normalization keeps its statistics and scales.
    """
    last = backbone.pyramid_level_inputs.get(f"P{levels}")
    position = [layer.name for layer in backbone.layers].index(last) if last else -1
    for place, layer in enumerate(backbone.layers):
        if place <= position or (statistics and isinstance(layer, keras.layers.BatchNormalization)):
            layer.trainable = False


# The architectures of pretrained presets, for weights files without one: KerasCV downloads both.
_RESNET50: dict[str, Any] = {
    "stackwise_filters": [64, 128, 256, 512],
    "stackwise_blocks": [3, 4, 6, 3],
    "stackwise_strides": [1, 2, 2, 2],
    "block_type": "block",
}
_ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet50_imagenet": ("ResNetBackbone", _RESNET50),
    "resnet50_v2_imagenet": ("ResNetV2Backbone", _RESNET50),
    "retinanet_resnet50_pascalvoc": ("ResNetBackbone", _RESNET50),
    "csp_darknet_tiny_imagenet": (
        "CSPDarkNetBackbone",
        {"stackwise_channels": [48, 96, 192, 384], "stackwise_depth": [1, 3, 3, 1]},
    ),
    "csp_darknet_l_imagenet": (
        "CSPDarkNetBackbone",
        {"stackwise_channels": [128, 256, 512, 1024], "stackwise_depth": [3, 9, 9, 3]},
    ),
    "yolo_v8_xs_backbone_coco": (
        "YOLOV8Backbone",
        {"stackwise_channels": [32, 64, 128, 256], "stackwise_depth": [1, 2, 2, 1]},
    ),
    "yolo_v8_s_backbone_coco": (
        "YOLOV8Backbone",
        {"stackwise_channels": [64, 128, 256, 512], "stackwise_depth": [1, 2, 2, 1]},
    ),
    "yolo_v8_m_backbone_coco": (
        "YOLOV8Backbone",
        {"stackwise_channels": [96, 192, 384, 576], "stackwise_depth": [2, 4, 4, 2]},
    ),
    "yolo_v8_l_backbone_coco": (
        "YOLOV8Backbone",
        {"stackwise_channels": [128, 256, 512, 512], "stackwise_depth": [3, 6, 6, 3]},
    ),
    "yolo_v8_xl_backbone_coco": (
        "YOLOV8Backbone",
        {"stackwise_channels": [160, 320, 640, 640], "stackwise_depth": [3, 6, 6, 3]},
    ),
}


def _backbone(preset: Preset, input_shape: tuple[int, int, int], weights: str | None) -> Any:
    if preset.name == "tiny":
        return NarrowBackbone(channels=[32, 64, 128, 192], depths=[1, 1, 2, 1], input_shape=input_shape)
    if preset.name in ("resnet18", "resnet50"):
        config: dict[str, Any] = dict(_RESNET50)
        if preset.name == "resnet18":
            config |= {"stackwise_blocks": [2, 2, 2, 2], "block_type": "basic_block"}
        return keras_cv.models.ResNetV2Backbone(include_rescaling=True, input_shape=input_shape, **config)
    if preset.name in OBJECTRON.presets:
        mobile = MobileNetV2(input_shape=input_shape)
        if weights is None:
            mobile.load_weights(find_weights(OBJECTRON.name).converted("kerascv") / WEIGHTS_FILE)
        return mobile
    if preset.name in PACKAGED:
        lite = efficientnet_lite(preset.name, input_shape)
        if weights is None:
            load_imagenet(lite, find_weights(preset.name).require())
        return lite
    if weights is not None and weights.endswith(".keras"):
        return _saved_backbone(weights)
    if weights is not None:
        if preset.name not in _ARCHITECTURES:
            raise WeightsError(f"{preset.name} requires a .keras file, which also contains the architecture")
        kind, config = _ARCHITECTURES[preset.name]
        return getattr(keras_cv.models, kind)(include_rescaling=True, input_shape=input_shape, **config)
    try:
        if preset.name == "retinanet_resnet50_pascalvoc":
            return keras_cv.models.RetinaNet.from_preset(preset.name, bounding_box_format="xyxy").backbone
        return keras_cv.models.Backbone.from_preset(_handle(preset.name))
    except Exception as error:
        ending = "weights.h5" if preset.name in _ARCHITECTURES else "keras"
        saving = "save_weights" if ending == "weights.h5" else "save"
        raise WeightsError(
            f"the pretrained preset {preset.name} could not be downloaded from kaggle.com "
            f"({type(error).__name__}: {_first_line(error)}). On a machine with internet access, train with it once, "
            f"or save its backbone with backbone.{saving}('{preset.name}.{ending}') and pass "
            f"weights={preset.name}.{ending}; or use a preset that trains from scratch: tiny, resnet18, resnet50"
        ) from error


def _handle(name: str) -> str:
    """Returns KerasCV's address of a preset, because its base class does not accept the names."""
    handle: str = keras_cv.models.RetinaNet.presets[name]["kaggle_handle"]
    return handle


def _saved_backbone(path: str) -> Any:
    try:
        saved = keras.saving.load_model(path, compile=False, safe_mode=not models_trusted())
    except Exception as error:
        if "safe_mode" in str(error):
            raise untrusted_model(path, "it contains Python code") from error
        raise WeightsError(f"{path} cannot be read as a Keras model: {_first_line(error)}") from error
    backbone = getattr(saved, "backbone", saved)
    if not {"P3", "P4", "P5"} <= set(getattr(backbone, "pyramid_level_inputs", ())):
        raise WeightsError(f"{path} contains neither a KerasCV detector nor a KerasCV backbone")
    return backbone


def load_weights(model: Detector, path: str) -> None:
    """Loads all weights of a network from the file that ``save_weights`` wrote.

    Raises:
        WeightsError: The file does not match the network.
    """
    try:
        with warnings.catch_warnings():
            # For layers without weights in the file, Keras only warns and leaves them unchanged.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        raise WeightsError(f"{path} does not match the network: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 100 else line[:97] + "..."
