"""Apple's CreateML JSON for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_createml.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``createml``."""
    return [
        FormatSpec(
            name="createml",
            summary="Apple's CreateML JSON, as labelImg and Roboflow write it too, with its pictures",
            load="boxwright_createml.reader:CreateMLReader",
            write="boxwright_createml.writer:CreateMLWriter",
            detect="boxwright_createml.detect:detect",
            options=(
                Option("images", str, None, "the folder of the pictures, where it is not the JSON's own"),
                Option("size", str, None, "the size of all pictures, WIDTHxHEIGHT, instead of measuring each"),
                Option(
                    "unannotated",
                    ("ignore", "include"),
                    "ignore",
                    "pictures that no JSON names, as pictures without boxes",
                ),
                Option("units", ("pixel", "normalized"), "pixel", "what coordinates are: pixels or shares"),
                Option("anchor", ("center", "topLeft", "bottomLeft"), "center", "the point of a box that x and y are"),
                Option("origin", ("topLeft", "bottomLeft"), "topLeft", "the corner of the picture where x and y are 0"),
            ),
            write_options=(
                Option(
                    "pictures",
                    bool,
                    True,
                    "whether the pictures are copied beside the JSON",
                    carries={"false": "-images"},
                ),
                Option(
                    "keys",
                    ("image", "imagefilename"),
                    "image",
                    "image and annotations, as tools write it; or imagefilename and annotation, of Apple's reference",
                ),
            ),
            carries=frozenset({"images", "empty", "subpixel", "image.verified"}),
            target="folder",
            docs="https://developer.apple.com/documentation/createml/building-an-object-detector-data-source",
        )
    ]
