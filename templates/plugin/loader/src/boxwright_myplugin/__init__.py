"""The loader behind ``dataset.to_myplugin()``."""

from boxwright import LoaderSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"

_BOX_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


@hookimpl
def boxwright_loaders() -> list[LoaderSpec]:
    """The loader ``myplugin``."""
    return [
        LoaderSpec(
            name="myplugin",
            summary="Dicts of NumPy arrays, one per image",
            # Imported on first use, not when the loader is listed.
            load="boxwright_myplugin.loader:to_myplugin",
            options=(Option("bounding_box_format", _BOX_FORMATS, "xyxy", "what the four numbers of a box are"),),
        ),
    ]
