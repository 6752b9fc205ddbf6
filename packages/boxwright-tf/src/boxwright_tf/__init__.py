"""The loader ``tf``: ``boxwright.open(uri).to_tf(bounding_box_format="xywh", batch_size=8)``, for ``tf.data``."""

from boxwright import LoaderSpec, Option, hookimpl

boxwright_api = (1, 1)

# A literal, because importing BoxFormat would slow down the listing of plugins.
BOX_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")

INSTALL = 'python -m pip install "boxwright-tf[cpu]"   (with an NVIDIA GPU: "boxwright-tf[cuda]")'


@hookimpl
def boxwright_loaders() -> list[LoaderSpec]:
    """Returns the loader behind ``dataset.to_tf(...)``."""
    return [
        LoaderSpec(
            name="tf",
            summary='tf.data.Dataset of {"images", "bounding_boxes"}, the form of KerasCV',
            load="boxwright_tf.loader:to_tf",
            options=(
                Option("bounding_box_format", BOX_FORMATS, "xyxy", "Format of the coordinates"),
                Option("batch_size", int, None, "Number of images per batch; by default none, for single images"),
            ),
            requires=("tensorflow",),
            install=INSTALL,
        )
    ]
