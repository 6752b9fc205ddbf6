"""The loader ``torch``: ``boxwright.open(uri).to_torch(image_size=(512, 512))``, for PyTorch's ``DataLoader``."""

from boxwright import LoaderSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_torch.conformance"

# A literal, because importing BoxFormat would slow down the listing of plugins.
_BOX_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


@hookimpl
def boxwright_loaders() -> list[LoaderSpec]:
    """Returns the loader behind ``dataset.to_torch(...)``."""
    return [
        LoaderSpec(
            name="torch",
            summary="torch.utils.data.Dataset of (image, target), the form of torchvision's detectors",
            load="boxwright_torch.loader:to_torch",
            options=(
                Option("bounding_box_format", _BOX_FORMATS, "xyxy", "Format of the coordinates"),
                Option("dtype", ("float32", "uint8"), "float32", "Type of the images: 0 to 1, or 0 to 255"),
                Option("first_label", int, 0, "Label of the first class; 1 if 0 is the background", ge=0),
            ),
            requires=("torch",),
            install='python -m pip install "boxwright-torch[torch]"',
        )
    ]
