"""CSV annotations for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)

_ONE_BASED = Option(
    "one_based", bool, False, "whether the rows count pixels from 1 and take xmax, ymax in (Pascal VOC)"
)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``csv``."""
    return [
        FormatSpec(
            name="csv",
            summary="One row a box: filename,width,height,class,xmin,ymin,xmax,ymax",
            load="boxwright_csv.reader:CsvReader",
            write="boxwright_csv.writer:CsvWriter",
            detect="boxwright_csv.detect:detect",
            options=(
                Option("images", str, None, "the folder of the pictures, where it is not the CSV's own"),
                Option("label_map", str, None, "the label map, where it is not label_map.pbtxt beside the CSV"),
                _ONE_BASED,
                Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is above its xmax"),
                Option("grouped", bool, True, "whether each picture's rows stand together; false reads it all at once"),
            ),
            write_options=(_ONE_BASED,),
            carries=frozenset({"subpixel"}),
            target="file",
            label_map_file="label_map.pbtxt",
            suffixes=(".csv",),
            docs="https://github.com/Tony607/object_detection_demo",
        )
    ]
