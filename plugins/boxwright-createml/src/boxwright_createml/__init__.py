"""Apple's CreateML JSON for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_createml.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the format ``createml``."""
    return [
        FormatSpec(
            name="createml",
            summary="Apple's CreateML JSON, which labelImg and Roboflow also write, with its images",
            load="boxwright_createml.reader:CreateMLReader",
            write="boxwright_createml.writer:CreateMLWriter",
            detect="boxwright_createml.detect:detect",
            options=(
                Option("images", str, None, "the folder of the images, if it is not that of the JSON file"),
                Option("size", str, None, "the size of all images, WIDTHxHEIGHT, instead of measuring each"),
                Option(
                    "unannotated",
                    ("ignore", "include"),
                    "ignore",
                    "images that no JSON file names, as images without boxes",
                ),
                Option(
                    "units",
                    ("pixel", "normalized"),
                    "pixel",
                    "the unit of coordinates: pixels or image sizes",
                ),
                Option("anchor", ("center", "topLeft", "bottomLeft"), "center", "the point of a box at x and y"),
                Option("origin", ("topLeft", "bottomLeft"), "topLeft", "the corner of the image where x and y are 0"),
            ),
            write_options=(
                Option(
                    "pictures",
                    bool,
                    True,
                    "whether to copy the images next to the JSON file",
                    carries={"false": "-images"},
                ),
                Option(
                    "keys",
                    ("image", "imagefilename"),
                    "image",
                    "image and annotations, as most tools write; or those of Apple's reference",
                ),
            ),
            carries=frozenset({"images", "empty", "subpixel", "image.verified"}),
            target="folder",
            true_size=True,
            docs="https://developer.apple.com/documentation/createml/building-an-object-detector-data-source",
        )
    ]
