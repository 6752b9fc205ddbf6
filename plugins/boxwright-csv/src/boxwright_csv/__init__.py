"""CSV annotations for boxwright: reader and writer."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import IMAGES, SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_csv.conformance"

_IMAGES = Option("images", str, None, "the folder of the images, if it is not that of the CSV file")
_LABEL_MAP = Option("label_map", str, None, "the label map, if it is not label_map.pbtxt next to the CSV file")
_ONE_BASED = Option(
    "one_based", bool, False, "whether pixels are counted from 1 and xmax, ymax are inclusive (Pascal VOC)"
)
_INVERTED = Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is greater than its xmax")
_GROUPED = Option(
    "grouped", bool, True, "whether the rows of each image are consecutive; false reads the whole file first"
)
_COMMON = (_IMAGES, _LABEL_MAP, _INVERTED, _GROUPED)
_CLASSES = Option("classes", str, None, "the file of the classes: class-descriptions-boxable.csv, or rows NAME,NUMBER")
_LABEL = Option(
    "label", str, None, "VIA: the attribute that contains the class; default: class, label, name or the only one"
)

_VIA_WRITING = (
    IMAGES,
    Option("label", str, "class", "the attribute that contains the class"),
    Option("project", bool, False, "JSON: whether to write a project that VIA opens, instead of annotations to import"),
)
_VIA_CARRIES = frozenset({"empty", "subpixel", "box.*", "image.*"})


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``csv``, and the dialects with other contents, each as a separate format."""
    return [
        FormatSpec(
            name="csv",
            summary="One row per box: filename,width,height,class,xmin,ymin,xmax,ymax; reads all CSV formats",
            load="boxwright_csv.reader:CsvReader",
            write="boxwright_csv.writer:CsvWriter",
            detect="boxwright_csv.detect:detect",
            options=(
                _IMAGES,
                _LABEL_MAP,
                _ONE_BASED,
                _INVERTED,
                _GROUPED,
                Option(
                    "dialect",
                    ("auto", "tutorial", "openimages", "retinanet", "via"),
                    "auto",
                    "the dialect of the columns; auto detects it by the first line",
                ),
                _CLASSES,
                _LABEL,
                SHAPES,
            ),
            write_options=(IMAGES, _ONE_BASED),
            carries=frozenset({"subpixel"}),
            target="file",
            label_map_file="label_map.pbtxt",
            suffixes=(".csv",),
            docs="https://github.com/Tony607/object_detection_demo",
        ),
        FormatSpec(
            name="openimages",
            summary="Open Images' CSV: ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,...",
            load="boxwright_csv.reader:OpenImagesReader",
            write="boxwright_csv.openimages:OpenImagesWriter",
            detect="boxwright_csv.detect:detect_openimages",
            options=(*_COMMON, _CLASSES),
            write_options=(
                IMAGES,
                Option(
                    "classes", str, None, "class-descriptions-boxable.csv, to write identifiers instead of class names"
                ),
                Option("endings", bool, False, "whether ImageID keeps the suffix .jpg, which globox requires"),
            ),
            carries=frozenset(
                {
                    "subpixel",
                    "box.occluded",
                    "box.truncated",
                    "box.iscrowd",
                    "box.is_depiction",
                    "box.is_inside",
                    "box.score",
                    "box.source",
                }
            ),
            target="file",
            true_size=True,
            docs="https://storage.googleapis.com/openimages/web/download_v7.html",
        ),
        FormatSpec(
            name="retinanet",
            summary="keras-retinanet's CSV without a header: path,x1,y1,x2,y2,class_name",
            load="boxwright_csv.reader:RetinaNetReader",
            write="boxwright_csv.retinanet:RetinaNetWriter",
            detect="boxwright_csv.detect:detect_retinanet",
            options=(*_COMMON, _ONE_BASED, _CLASSES),
            write_options=(
                IMAGES,
                Option("folder", str, "", "the prefix of the image names, relative to the folder of the CSV file"),
                _ONE_BASED,
            ),
            carries=frozenset({"empty"}),
            target="file",
            true_size=True,
            numbered=True,
            label_map_file="label_map.pbtxt",
            docs="https://github.com/fizyr/keras-retinanet#csv-datasets",
        ),
        FormatSpec(
            name="keras-yolo3",
            summary="keras-yolo3's text, and Roboflow's _annotations.txt: PATH XMIN,YMIN,XMAX,YMAX,CLASS ...",
            load="boxwright_csv.keras_yolo:KerasYoloReader",
            detect="boxwright_csv.keras_yolo:detect",
            options=(
                _IMAGES,
                Option("classes", str, None, "the file of the class names, if it is not _classes.txt or classes.txt"),
                _INVERTED,
            ),
            target="file",
            docs="https://github.com/qqwweee/keras-yolo3",
        ),
        FormatSpec(
            name="via",
            summary="VGG Image Annotator: its CSV, its JSON and its projects, all shapes",
            load="boxwright_csv.reader:via_reader",
            write="boxwright_csv.via:via_writer",
            detect="boxwright_csv.detect:detect_via",
            options=(*_COMMON, _LABEL, SHAPES),
            write_options=_VIA_WRITING,
            carries=_VIA_CARRIES,
            target="file",
            true_size=True,
            docs="https://www.robots.ox.ac.uk/~vgg/software/via/",
        ),
        FormatSpec(
            name="via-json",
            summary="The same as via, always JSON",
            load="boxwright_csv.via_json:ViaJsonReader",
            write="boxwright_csv.via_json:ViaJsonWriter",
            options=(_IMAGES, _LABEL_MAP, _INVERTED, _LABEL, SHAPES),
            write_options=_VIA_WRITING,
            carries=_VIA_CARRIES,
            target="file",
            true_size=True,
            docs="https://www.robots.ox.ac.uk/~vgg/software/via/",
        ),
    ]
