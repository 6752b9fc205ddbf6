"""YOLO label files for boxwright: Ultralytics' layout, labelImg's and darknet's."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_yolo.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``yolo``."""
    return [
        FormatSpec(
            name="yolo",
            summary="YOLO label files: Ultralytics' data.yaml, labelImg's classes.txt, darknet's obj.data",
            load="boxwright_yolo.reader:YoloReader",
            write="boxwright_yolo.writer:YoloWriter",
            detect="boxwright_yolo.detect:detect",
            options=(
                Option("split", str, None, "read this part only: train, val, test, or another that data.yaml names"),
                Option("images", str, None, "the folder of the pictures, where they are not with the label files"),
                Option("classes", str, None, "the file of the class names, where it is not with the label files"),
                Option("size", str, None, "the size of all pictures, WIDTHxHEIGHT, instead of measuring each"),
                Option(
                    "unannotated",
                    ("include", "ignore"),
                    "include",
                    "pictures without a label file: as pictures without boxes, or not at all",
                ),
                Option("eight", ("polygon", "obb"), "polygon", "what eight numbers after the class are"),
                Option("decimals", int, 6, "edges are rounded to so many decimals of a pixel; 0 for whole pixels"),
            ),
            write_options=(
                Option(
                    "layout",
                    ("ultralytics", "labelimg"),
                    "ultralytics",
                    "data.yaml, images/ and labels/; or label files beside the pictures and classes.txt",
                    carries={"labelimg": "-split"},
                ),
                Option("pictures", bool, True, "whether the pictures are copied", carries={"false": "-images"}),
                Option(
                    "scores",
                    bool,
                    False,
                    "whether a box's score is written as a sixth column",
                    carries={"true": "+box.score"},
                ),
            ),
            carries=frozenset({"images", "empty", "subpixel", "split"}),
            target="folder",
            numbered=True,
            docs="https://docs.ultralytics.com/datasets/detect/",
        )
    ]
