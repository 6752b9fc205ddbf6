"""Datumaro's JSON for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_datumaro.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the format ``datumaro``."""
    return [
        FormatSpec(
            name="datumaro",
            summary="Datumaro's JSON: annotations/SUBSET.json and images/SUBSET, all 2D shapes",
            load="boxwright_datumaro.reader:DatumaroReader",
            write="boxwright_datumaro.writer:DatumaroWriter",
            detect="boxwright_datumaro.detect:detect",
            options=(
                SHAPES,
                Option("images", str, None, "the folder of the images, if it is not that of the dataset"),
            ),
            write_options=(Option("pictures", bool, True, "whether to copy the images", carries={"false": "-images"}),),
            carries=frozenset({"images", "empty", "subpixel", "split", "box.*", "image.*"}),
            adds=frozenset({"box.id"}),
            target="folder",
            numbered=True,
            docs="https://open-edge-platform.github.io/datumaro/latest/docs/data-formats/formats/datumaro.html",
        )
    ]
