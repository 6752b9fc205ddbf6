"""KerasCV's RetinaNet for boxwright: train, predict, augment.

Nothing here imports TensorFlow: presets and options are spelt out, and a test holds them against the code.
"""

from boxwright import AugmenterSpec, BackendSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_kerascv.conformance"

INSTALL = 'python -m pip install "boxwright-kerascv[cpu]"   (with an NVIDIA GPU: "boxwright-kerascv[cuda]")'
_REQUIRES = ("tensorflow", "keras", "keras_cv")

PRESETS = {
    "tiny": "A narrow RetinaNet of 1 M parameters, from scratch, made for a CPU and small data",
    "resnet18": "ResNet18 V2 from scratch",
    "resnet50": "ResNet50 V2 from scratch",
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

RECIPE_OPTIONS = (
    Option("steps", int, None, "Optimizer steps in all, instead of --epochs; the preset and the data decide"),
    Option("learning_rate", float, None, "Peak learning rate, after the warm-up"),
    Option("warmup_fraction", float, None, "Share of the steps over which the learning rate rises"),
    Option("weight_decay", float, None, "Decoupled weight decay (AdamW)"),
    Option("clipnorm", float, None, "Largest norm of the whole gradient; 0 for no limit"),
    Option("ema", float, None, "Momentum of the moving average of the weights; 0 for none"),
    Option("focal_alpha", float, None, "Weight of objects against background in the focal loss"),
    Option("focal_gamma", float, None, "How far easy anchors are damped in the focal loss"),
    Option("box_loss_weight", float, None, "Weight of the box loss"),
    Option("smooth_l1_cutoff", float, None, "Error below which the box loss is quadratic"),
    Option("label_smoothing", float, None, "Of the class targets, 0 to 1"),
    Option("pixel_budget", int, None, "Most pixels of the network's input, where --image-size is not given"),
    Option("oversample", float, None, "Pictures are kept at up to this many times the network's size"),
    Option("max_boxes", int, None, "Boxes a picture that are trained on"),
    Option("freeze_backbone", bool, None, "Train the pyramid and the heads only"),
    Option("precision", ("float32", "mixed_bfloat16"), None, "Of the network's arithmetic"),
)
DECODER_OPTIONS = (
    Option("score_threshold", float, None, "Detections below it are dropped"),
    Option("iou_threshold", float, None, "Of two detections of a class that overlap more, the better stays"),
    Option("max_detections", int, None, "Most detections a picture"),
    Option("pre_nms", int, None, "Best predictions a picture that enter non-maximum suppression"),
    Option("soft_nms_sigma", float, None, "Above 0: overlapping detections lose score instead of being dropped"),
)
OTHER_OPTIONS = (
    Option("weights", str, None, "A .weights.h5 or .keras file of this network or of its backbone to start from"),
    Option("early_stopping", int, None, "Stop after this many looks at --val without a lower loss; off by default"),
    Option("cache", ("auto", "memory", "disk"), "auto", "Where decoded pictures are kept while training"),
)


@hookimpl
def boxwright_backends() -> list[BackendSpec]:
    """The RetinaNet backend."""
    return [
        BackendSpec(
            name="kerascv",
            summary="KerasCV RetinaNet on TensorFlow",
            load="boxwright_kerascv.entry:KerasCVBackend",
            options=RECIPE_OPTIONS + DECODER_OPTIONS + OTHER_OPTIONS,
            presets=PRESETS,
            requires=_REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenters that the backend's default is made of."""
    probability = Option("probability", float, None, "How often it is applied, 0 to 1")

    def augmenter(name: str, attribute: str, summary: str, *options: Option) -> AugmenterSpec:
        return AugmenterSpec(
            name=name,
            summary=summary,
            load=f"boxwright_kerascv.augment:{attribute}",
            options=(probability, *options),
            requires=_REQUIRES,
            install=INSTALL,
        )

    return [
        augmenter(
            "crop",
            "Crop",
            "Look at a part of the picture: objects appear larger",
            Option("smallest", float, None, "Least side of the part, as a share of the picture's"),
        ),
        augmenter(
            "expand",
            "Expand",
            "Put the picture into a larger grey one: objects appear smaller",
            Option("largest", float, None, "Most side of the larger picture, in sides of the picture"),
        ),
        augmenter(
            "stretch",
            "Stretch",
            "Change the aspect ratio",
            Option("largest", float, None, "Most factor between the change of the width and that of the height"),
        ),
        augmenter("flip", "Flip", "Mirror left to right"),
        augmenter("vertical-flip", "VerticalFlip", "Mirror top to bottom"),
        augmenter("rotate-90", "Rotate90", "Turn by a quarter"),
        augmenter(
            "color",
            "Color",
            "Change brightness, contrast, saturation and hue",
            Option("brightness", float, None, "Most shift, in parts of the full range"),
            Option("contrast", float, None, "Most factor, either way"),
            Option("saturation", float, None, "Most factor, either way"),
            Option("hue", float, None, "Most turn, in parts of the full circle"),
        ),
    ]
