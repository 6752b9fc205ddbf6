"""TFRecord files of the TF Object Detection API for boxwright, without TensorFlow: read and write."""

from __future__ import annotations

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_tfrecord.conformance"

READ_OPTIONS = (
    Option("label_map", str, None, "the label map file; default: label_map.pbtxt beside the records, if there is one"),
    Option("images", str, None, "folder of the pictures that the records do not hold; default: the records' own"),
    Option(
        "names",
        ("filename", "basename", "number"),
        "filename",
        "name pictures by image/filename, by the last part of it, or by file and record number",
    ),
    Option("coordinates", ("relative", "pixels"), "relative", "what the box edges are; relative is the standard"),
    Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is greater than its xmax"),
    Option("crc", bool, True, "check every record's checksum; false saves a little time"),
    Option("masks", bool, False, "read image/object/mask as each box's segmentation"),
)
WRITE_OPTIONS = (
    Option("shards", int, None, "how many files to spread the records over; OUT@10 says the same"),
    Option("compression", ("none", "gzip"), "none", "gzip is also chosen by a target that ends in .gz"),
)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The one format of this plugin."""
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
            numbered=True,
            label_map_file="label_map.pbtxt",
            suffixes=(".record", ".tfrecord", ".tfrecords", ".record.gz", ".tfrecord.gz"),
            docs="https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/using_your_own_dataset.md",
        )
    ]
