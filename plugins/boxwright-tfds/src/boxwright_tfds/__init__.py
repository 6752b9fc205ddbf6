"""TensorFlow Datasets for boxwright: read."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``tfds``."""
    return [
        FormatSpec(
            name="tfds",
            summary="A detection dataset that TensorFlow Datasets has prepared: tfds:voc/2007?split=train",
            load="boxwright_tfds.reader:TfdsReader",
            options=(
                Option("split", str, None, "which split, as TFDS writes it: train, test[:10%]; all of them without"),
                Option("data_dir", str, None, "where TFDS keeps prepared datasets; its own default without"),
                Option("download", bool, False, "whether a dataset that is not prepared may be downloaded"),
                Option("objects", str, None, "the feature that holds the boxes, where it is not called objects"),
            ),
            requires=("tensorflow", "tensorflow_datasets"),
            install='python -m pip install "boxwright-tfds[cpu]"   (with an NVIDIA GPU: "boxwright-tfds[cuda]")',
            docs="https://www.tensorflow.org/datasets",
        )
    ]
