"""CSV annotations for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_csv.conformance"

_IMAGES = Option("images", str, None, "the folder of the pictures, where it is not the CSV's own")
_LABEL_MAP = Option("label_map", str, None, "the label map, where it is not label_map.pbtxt beside the CSV")
_ONE_BASED = Option(
    "one_based", bool, False, "whether the rows count pixels from 1 and take xmax, ymax in (Pascal VOC)"
)
_INVERTED = Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is above its xmax")
_GROUPED = Option("grouped", bool, True, "whether each picture's rows stand together; false reads it all at once")
_COMMON = (_IMAGES, _LABEL_MAP, _INVERTED, _GROUPED)
_CLASSES = Option("classes", str, None, "the file of the classes: class-descriptions-boxable.csv, or NAME,NUMBER rows")
_LABEL = Option("label", str, None, "VIA: the attribute that is the class; default: class, label, name or the only one")
_POINTS = Option("points", ("error", "ignore"), "error", "VIA: what to do with points, which have no box around them")


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``csv``, and the dialects that hold other things, each as a format of its own."""
    return [
        FormatSpec(
            name="csv",
            summary="One row a box: filename,width,height,class,xmin,ymin,xmax,ymax; reads the other CSV formats, too",
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
                    "whose columns they are; auto goes by the first line",
                ),
                _CLASSES,
                _LABEL,
                _POINTS,
            ),
            write_options=(_ONE_BASED,),
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
                Option("classes", str, None, "class-descriptions-boxable.csv, to write identifiers for the classes"),
                Option("endings", bool, False, "whether ImageID keeps the ending .jpg, which globox wants"),
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
                Option("folder", str, "", "what stands before the pictures' names, from the CSV's folder on"),
                _ONE_BASED,
            ),
            carries=frozenset({"empty"}),
            target="file",
            numbered=True,
            label_map_file="label_map.pbtxt",
            docs="https://github.com/fizyr/keras-retinanet#csv-datasets",
        ),
        FormatSpec(
            name="via",
            summary="VGG Image Annotator's CSV: a row a region, its shape and attributes as JSON",
            load="boxwright_csv.reader:ViaReader",
            write="boxwright_csv.via:ViaWriter",
            detect="boxwright_csv.detect:detect_via",
            options=(*_COMMON, _LABEL, _POINTS),
            write_options=(Option("label", str, "class", "the attribute that the class is written to"),),
            carries=frozenset({"empty", "subpixel", "box.*", "image.*"}),
            target="file",
            docs="https://www.robots.ox.ac.uk/~vgg/software/via/",
        ),
    ]
