"""Samples to ``tf.data``: ``boxwright.open(uri).to_tf(bounding_box_format="xywh", batch_size=8)``."""

from boxwright import LoaderSpec, Option, hookimpl

boxwright_api = (1, 1)

# Spelt out, as importing the schemas would import pydantic for a mere listing.
BOX_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")

INSTALL = 'python -m pip install "boxwright-tf[cpu]"   (with an NVIDIA GPU: "boxwright-tf[cuda]")'


@hookimpl
def boxwright_loaders() -> list[LoaderSpec]:
    """The loader behind ``dataset.to_tf(...)``."""
    return [
        LoaderSpec(
            name="tf",
            summary='tf.data.Dataset of {"images", "bounding_boxes"} as KerasCV takes it',
            load="boxwright_tf.loader:to_tf",
            options=(
                Option("bounding_box_format", BOX_FORMATS, "xyxy", "How four numbers say a box"),
                Option("batch_size", int, None, "Pictures a batch; none for single pictures"),
            ),
            requires=("tensorflow",),
            install=INSTALL,
        )
    ]
