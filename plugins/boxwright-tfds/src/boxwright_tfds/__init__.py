"""Reader of TensorFlow Datasets for boxwright."""

from __future__ import annotations

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_tfds.conformance"

INSTALL = 'python -m pip install "boxwright-tfds[cpu]"   (with an NVIDIA GPU: "boxwright-tfds[cuda]")'


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``tfds``."""
    return [
        FormatSpec(
            name="tfds",
            summary="Prepared TensorFlow dataset with boxes, by its name (voc/2007) or folder",
            load="boxwright_tfds.reader:TfdsReader",
            detect="boxwright_tfds.prepared:detect",
            options=(
                Option(
                    "split",
                    str,
                    None,
                    "Split in the syntax of TFDS: train, train[:10%], train+validation; default: all",
                ),
                Option("data_dir", str, None, "Folder of the prepared datasets; default: TFDS_DATA_DIR"),
                Option("download", bool, False, "Whether to prepare a missing dataset first, from the internet"),
                Option("objects", str, None, "Feature with the boxes, if there are several"),
                Option("label", str, None, "Feature with the class of a box, if it is neither label nor type"),
                Option(
                    "names",
                    ("filename", "number"),
                    "filename",
                    "Names of images: their file names, or split and number",
                ),
                Option("y_axis", ("auto", "down", "up"), "auto", "Direction of y; auto: up for kitti, else down"),
                Option(
                    "one_based", bool, False, "Whether boxes count pixels from 1, with xmax and ymax inclusive (voc)"
                ),
            ),
            requires=("tensorflow", "tensorflow_datasets"),
            install=INSTALL,
            target="folder",
            docs="https://www.tensorflow.org/datasets/external_tfrecord",
        )
    ]
