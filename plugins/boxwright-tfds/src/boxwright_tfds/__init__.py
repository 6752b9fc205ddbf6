"""TensorFlow Datasets for boxwright: read."""

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
            summary="A prepared TensorFlow dataset with boxes, by its name (voc/2007) or folder",
            load="boxwright_tfds.reader:TfdsReader",
            detect="boxwright_tfds.prepared:detect",
            options=(
                Option("split", str, None, "train, or any split of TFDS: train[:10%], train+validation; default: all"),
                Option("data_dir", str, None, "where prepared datasets lie; default: TFDS_DATA_DIR"),
                Option("download", bool, False, "prepare the dataset first where it is not there, from the internet"),
                Option("objects", str, None, "the feature with the boxes, where there are several"),
                Option("label", str, None, "the feature with a box's class, where it is neither label nor type"),
                Option("names", ("filename", "number"), "filename", "name pictures by their file, or by their number"),
                Option("y_axis", ("auto", "down", "up"), "auto", "where y counts from; auto: up for kitti, else down"),
                Option("one_based", bool, False, "whether the boxes count pixels from 1 and take xmax, ymax in (voc)"),
            ),
            requires=("tensorflow", "tensorflow_datasets"),
            install=INSTALL,
            target="folder",
            docs="https://www.tensorflow.org/datasets/external_tfrecord",
        )
    ]
