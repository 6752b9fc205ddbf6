"""LabelMe's JSON for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_labelme.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the format ``labelme``."""
    return [
        FormatSpec(
            name="labelme",
            summary="LabelMe's JSON in a folder of images, all its shapes; also X-AnyLabeling's and AnyLabeling's",
            load="boxwright_labelme.reader:LabelMeReader",
            write="boxwright_labelme.writer:LabelMeWriter",
            detect="boxwright_labelme.detect:detect",
            options=(
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not that of the JSON files"),
                Option("unannotated", ("ignore", "include"), "ignore", "images without JSON, as images without boxes"),
            ),
            write_options=(Option("pictures", bool, True, "whether to copy the images", carries={"false": "-images"}),),
            carries=frozenset({"images", "empty", "subpixel", "box.*", "image.*"}),
            target="folder",
            split_folders=True,
            docs="https://github.com/wkentaro/labelme",
        )
    ]
