"""YOLO label files for boxwright: Ultralytics' layout, labelImg's and darknet's."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_yolo.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the formats ``yolo`` and ``dota``."""
    return [
        FormatSpec(
            name="yolo",
            summary="YOLO label files: Ultralytics' data.yaml, labelImg's classes.txt, darknet's obj.data",
            load="boxwright_yolo.reader:YoloReader",
            write="boxwright_yolo.writer:YoloWriter",
            detect="boxwright_yolo.detect:detect",
            options=(
                SHAPES,
                Option("split", str, None, "the only split to read: train, val, test, or another of data.yaml"),
                Option("images", str, None, "the folder of the images, if they are not with the label files"),
                Option("classes", str, None, "the file of the class names, if it is not with the label files"),
                Option("size", str, None, "the size of all images, WIDTHxHEIGHT, instead of measuring each"),
                Option(
                    "unannotated",
                    ("include", "ignore"),
                    "include",
                    "whether to read images without a label file, as images without boxes",
                ),
                Option("eight", ("polygon", "obb"), "polygon", "the meaning of eight numbers after the class"),
                Option("decimals", int, 6, "coordinates are rounded to that many decimals of a pixel; 0: whole pixels"),
            ),
            write_options=(
                Option(
                    "layout",
                    ("ultralytics", "labelimg"),
                    "ultralytics",
                    "data.yaml, images/ and labels/; or label files next to the images, and classes.txt",
                    carries={"labelimg": "-split"},
                ),
                Option("pictures", bool, True, "whether to copy the images", carries={"false": "-images"}),
                Option(
                    "scores",
                    bool,
                    False,
                    "whether to write a box's score as a sixth column",
                    carries={"true": "+box.score"},
                ),
            ),
            carries=frozenset({"images", "empty", "subpixel", "split"}),
            target="folder",
            numbered=True,
            true_size=True,
            files="boxwright_yolo.annotation:YoloFiles",
            docs="https://docs.ultralytics.com/datasets/detect/",
        ),
        FormatSpec(
            name="dota",
            summary="DOTA's oriented boxes: labelTxt next to images",
            load="boxwright_yolo.dota:DotaReader",
            detect="boxwright_yolo.dota:detect",
            options=(
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not images next to labelTxt"),
            ),
            write="boxwright_yolo.dota_writer:DotaWriter",
            write_options=(Option("pictures", bool, True, "whether to copy the images", carries={"false": "-images"}),),
            carries=frozenset({"images", "empty", "subpixel", "box.difficult", "image.gsd", "image.imagesource"}),
            target="folder",
            true_size=True,
            split_folders=True,
            docs="https://captain-whu.github.io/DOTA/dataset.html",
        ),
    ]
