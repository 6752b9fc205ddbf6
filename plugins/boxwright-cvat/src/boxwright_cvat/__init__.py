"""CVAT's XML for boxwright: images and tracks read, images written."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import IMAGES, SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_cvat.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the format ``cvat``."""
    return [
        FormatSpec(
            name="cvat",
            summary="CVAT for images 1.1 (XML), all its shapes; reads the tracks of CVAT for video 1.1 as well",
            load="boxwright_cvat.reader:CvatReader",
            write="boxwright_cvat.writer:CvatWriter",
            detect="boxwright_cvat.detect:detect",
            options=(
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not that of the XML file"),
                Option("size", str, None, "the size of all frames, WIDTHxHEIGHT, of a video without original_size"),
            ),
            write_options=(IMAGES,),
            carries=frozenset({"empty", "subpixel", "split", "box.*", "image.tags"}),
            target="file",
            numbered=True,
            docs="https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/",
        )
    ]
