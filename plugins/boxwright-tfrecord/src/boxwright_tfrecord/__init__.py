"""TFRecord files of the TF Object Detection API for boxwright, without TensorFlow: read and write."""

from __future__ import annotations

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import MAX_BAD

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_tfrecord.conformance"

READ_OPTIONS = (
    Option(
        "label_map", str, None, "label map file; default: label_map.pbtxt in the folder of the records, if it exists"
    ),
    Option("images", str, None, "folder of the images that are not in the records; default: the folder of the records"),
    Option(
        "names",
        ("filename", "basename", "number"),
        "filename",
        "name images by image/filename, by the last part of it, or by file and record number",
    ),
    Option("coordinates", ("relative", "pixels"), "relative", "unit of the coordinates; relative is the standard"),
    Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is greater than its xmax"),
    Option("crc", bool, True, "whether to check every record's checksum; false saves a little time"),
    Option("masks", bool, False, "whether to read image/object/mask as each box's segmentation"),
)
WRITE_OPTIONS = (
    Option("shards", int, None, "number of files; OUT@10 means the same"),
    Option(
        "compression",
        ("none", "gzip"),
        "none",
        "compression of the files; a target that ends in .gz is always compressed",
    ),
    Option(
        "images",
        ("embed", "remember", "copy"),
        "embed",
        "whether the records contain the images, their folder is remembered, or they are copied into a folder",
        carries={"remember": "-images"},
    ),
)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the format of this plugin."""
    return [
        FormatSpec(
            name="tfrecord",
            summary="TFRecord files of tf.train.Example, as the TF Object Detection API writes and reads them",
            load="boxwright_tfrecord.reader:TFRecordReader",
            options=READ_OPTIONS,
            write="boxwright_tfrecord.writer:TFRecordWriter",
            write_options=WRITE_OPTIONS,
            detect="boxwright_tfrecord.reader:detect",
            carries=frozenset(
                {
                    "images",
                    "empty",
                    "subpixel",
                    "box.area",
                    "box.difficult",
                    "box.is_depiction",
                    "box.iscrowd",
                    "box.occluded",
                    "box.pose",
                    "box.truncated",
                    "box.weight",
                    "image.source_id",
                }
            ),
            target="file",
            max_bad=MAX_BAD,
            numbered=True,
            label_map_file="label_map.pbtxt",
            suffixes=(".record", ".tfrecord", ".tfrecords", ".record.gz", ".tfrecord.gz"),
            docs="https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/using_your_own_dataset.md",
        )
    ]
