"""COCO's instances and detections JSON for boxwright: reader and writer."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import IMAGES, SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_coco.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``coco``."""
    return [
        FormatSpec(
            name="coco",
            summary="COCO's instances JSON, and its detections JSON with ?truth=",
            load="boxwright_coco.reader:CocoReader",
            write="boxwright_coco.writer:CocoWriter",
            detect="boxwright_coco.detect:detect",
            options=(
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not a usual one"),
                Option("truth", str, None, "for a list of detections: its instances file"),
                Option("inverted", ("error", "swap"), "error", "what to do with a box with negative width or height"),
                Option("ids", bool, True, "whether the ids of images and annotations are read as source_id and id"),
            ),
            write_options=(
                IMAGES,
                Option(
                    "kind",
                    ("instances", "detections"),
                    "instances",
                    "detections: the list of boxes with scores",
                    carries={"detections": "-empty -image.* +image.source_id -dataset.*"},
                ),
                Option("truth", str, None, "for detections: the instances file whose ids are used"),
                Option(
                    "ids",
                    bool,
                    True,
                    "whether source_id and id are kept as ids; false counts from 1",
                    carries={"false": "-image.source_id -box.id"},
                ),
                Option("category_ids", bool, True, "whether classes keep their ids; false counts from 1"),
            ),
            carries=frozenset({"empty", "subpixel", "box.*", "image.*", "dataset.*"}),
            adds=frozenset({"image.source_id", "box.id"}),
            target="file",
            numbered="late",
            suffixes=(".json",),
            docs="https://cocodataset.org/#format-data",
        )
    ]
