"""labelImg's Pascal VOC XML for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)

_ONE_BASED = Option(
    "one_based",
    bool,
    False,
    "whether the XML counts pixels from 1 and takes xmax, ymax in (Pascal VOC); labelImg's own files do not",
)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``labelimg``."""
    return [
        FormatSpec(
            name="labelimg",
            summary="labelImg's Pascal VOC XML in a folder of pictures",
            load="boxwright_labelimg.reader:LabelImgReader",
            write="boxwright_labelimg.writer:LabelImgWriter",
            detect="boxwright_labelimg.detect:detect",
            options=(
                Option("images", str, None, "the folder of the pictures, where it is not the XML's own"),
                _ONE_BASED,
                Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is above its xmax"),
                Option(
                    "unannotated", ("ignore", "include"), "ignore", "pictures without XML, as pictures without boxes"
                ),
            ),
            write_options=(
                Option(
                    "pictures",
                    bool,
                    True,
                    "whether the pictures are copied beside the XML",
                    carries={"false": "-images"},
                ),
                _ONE_BASED,
            ),
            carries=frozenset({"images", "empty", "subpixel", "box.*", "image.*"}),
            target="folder",
            docs="https://github.com/HumanSignal/labelImg",
        )
    ]
