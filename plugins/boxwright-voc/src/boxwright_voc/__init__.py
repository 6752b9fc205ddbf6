"""The Pascal VOC layout for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)

_ONE_BASED = Option(
    "one_based",
    bool,
    False,
    "whether the XML counts pixels from 1 and takes xmax, ymax in, as the VOC database's own files do",
)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``voc``."""
    return [
        FormatSpec(
            name="voc",
            summary="Pascal VOC: Annotations, JPEGImages and ImageSets/Main, one year or several",
            load="boxwright_voc.reader:VocReader",
            write="boxwright_voc.writer:VocWriter",
            detect="boxwright_voc.detect:detect",
            options=(
                Option("split", str, None, "a list of ImageSets/Main: train, val, trainval, test or another; else all"),
                Option("images", str, None, "the folder of the pictures, where it is not JPEGImages"),
                _ONE_BASED,
                Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is above its xmax"),
                Option("unlisted", ("ignore", "include"), "ignore", "annotations that are in no list"),
                Option(
                    "unannotated", ("ignore", "include"), "ignore", "pictures without XML, as pictures without boxes"
                ),
            ),
            write_options=(
                Option(
                    "pictures",
                    bool,
                    True,
                    "whether the pictures are copied to JPEGImages",
                    carries={"false": "-images"},
                ),
                _ONE_BASED,
                Option("class_lists", bool, False, "whether each class gets lists of its own: aeroplane_train.txt"),
            ),
            carries=frozenset({"images", "empty", "subpixel", "split", "box.*", "image.*"}),
            target="folder",
            docs="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf",
        )
    ]
