"""The options of a training that all backends share. Nothing is imported but the class of an option."""

from boxwright import Option

RECIPE_OPTIONS = (
    Option(
        "steps",
        int,
        None,
        "Total number of optimizer steps, instead of --epochs; by default, the preset and the data decide",
        ge=1,
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
