"""Pascal VOC XML for boxwright: the formats ``labelimg`` and ``voc``."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import SHAPES

boxwright_api = (1, 1)

_ONE_BASED = Option(
    "one_based",
    bool,
    False,
    "whether the XML counts pixels from 1 and includes xmax, ymax, as the VOC database does; labelImg does not",
)
_INVERTED = Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is above its xmax")
_UNANNOTATED = Option("unannotated", ("ignore", "include"), "ignore", "images without XML, as images without boxes")


def _copy_option(target: str) -> Option:
    return Option("pictures", bool, True, f"whether to copy the images {target}", carries={"false": "-images"})


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the formats ``labelimg`` and ``voc``."""
    return [
        FormatSpec(
            name="labelimg",
            summary="labelImg's Pascal VOC XML in a folder of images",
            load="boxwright_voc.readers:LabelImgReader",
            write="boxwright_voc.writers:LabelImgWriter",
            detect="boxwright_voc.detect:detect_labelimg",
            options=(
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not that of the XML"),
                _ONE_BASED,
                _INVERTED,
                _UNANNOTATED,
            ),
            write_options=(_copy_option("next to the XML"), _ONE_BASED),
            carries=frozenset({"images", "empty", "subpixel", "box.*", "image.*"}),
            target="folder",
            split_folders=True,
            docs="https://github.com/HumanSignal/labelImg",
        ),
        FormatSpec(
            name="voc",
            summary="Pascal VOC: Annotations, JPEGImages and ImageSets/Main, one year or several",
            load="boxwright_voc.readers:VocReader",
            write="boxwright_voc.writers:VocWriter",
            detect="boxwright_voc.detect:detect_voc",
            options=(
                Option(
                    "split",
                    str,
                    None,
                    "a list of ImageSets/Main: train, val, trainval, test or another; else all",
                ),
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not JPEGImages"),
                _ONE_BASED,
                _INVERTED,
                Option("unlisted", ("ignore", "include"), "ignore", "annotations that are in no list"),
                _UNANNOTATED,
            ),
            write_options=(
                _copy_option("to JPEGImages"),
                _ONE_BASED,
                Option("class_lists", bool, False, "whether each class gets its own lists: aeroplane_train.txt"),
                Option("labelmap", bool, False, "whether to write labelmap.txt, the classes, which Datumaro needs"),
            ),
            carries=frozenset({"images", "empty", "subpixel", "split", "box.*", "image.*"}),
            target="folder",
            docs="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf",
        ),
    ]
