"""What the RetinaNet backends share: the augmenters, which work in any backend, and the training around Keras.

Nothing here imports a framework.
"""

from boxwright import AugmenterSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_retinanet.conformance"


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenters, of which the backends use some by default."""
    probability = Option("probability", float, None, "How often it is applied", ge=0, le=1)

    def augmenter(name: str, attribute: str, summary: str, *options: Option, module: str = "augment") -> AugmenterSpec:
        return AugmenterSpec(
            name=name,
            summary=summary,
            load=f"boxwright_retinanet.{module}:{attribute}",
            options=(probability, *options),
            requires=("cv2",),
            install="python -m pip install opencv-python-headless",
        )

    smallest = Option("smallest", float, None, "Minimum side of the part, as a fraction of the image's", ge=0.01, le=1)
    canvas = Option("largest", float, None, "Maximum side of the canvas, as a multiple of the image's", ge=1)
    ratio = Option("largest", float, None, "Maximum factor between the changes of the width and of the height", ge=1)
    color = (
        Option("brightness", float, None, "Maximum shift, as a fraction of the full range", ge=0, le=1),
        Option("contrast", float, None, "Maximum factor, in both directions", ge=1),
        Option("saturation", float, None, "Maximum factor, in both directions", ge=1),
        Option("hue", float, None, "Maximum rotation, as a fraction of the full circle", ge=0, le=0.5),
    )
    degrees = Option("degrees", float, None, "Maximum angle, in both directions", ge=0, le=180)
    factor = Option("factor", float, None, "Maximum shift, as a fraction of the distance from the center", ge=0, le=2)
    strength = Option("largest", float, None, "Maximum factor, in both directions", ge=1)
    sigma = Option("sigma", float, None, "Maximum standard deviation in pixels", ge=0, le=50)
    quality = Option("quality", int, None, "Minimum quality", ge=1, le=95)
    alpha = Option("alpha", float, None, "How close the shares of the images are to one half", ge=0.1, le=1000)
    most = Option("most", int, None, "Maximum number of objects per image", ge=1, le=100)
    size = Option("largest", float, None, "Maximum change of an object's size, in both directions", ge=1, le=4)
    return [
        augmenter("crop", "Crop", "Use a part of the image: objects appear larger", smallest),
        augmenter("expand", "Expand", "Place the image on a larger gray canvas: objects appear smaller", canvas),
        augmenter("stretch", "Stretch", "Change the aspect ratio", ratio),
        augmenter("flip", "Flip", "Mirror horizontally"),
        augmenter("vertical-flip", "VerticalFlip", "Mirror vertically"),
        augmenter("rotate-90", "Rotate90", "Rotate by 90 degrees"),
        augmenter("rotate", "Rotate", "Rotate by a small angle", degrees),
        augmenter("shear", "Shear", "Shear horizontally and vertically", factor),
        augmenter("color", "Color", "Change brightness, contrast, saturation and hue", *color),
        augmenter("sharpness", "Sharpness", "Sharpen or smooth fine detail", strength),
        augmenter("blur", "Blur", "Blur with a Gaussian", sigma),
        augmenter("jpeg", "Jpeg", "Add the artifacts of JPEG compression", quality),
        augmenter("mosaic", "Mosaic", "Put parts of four images next to each other", module="mix"),
        augmenter("mixup", "MixUp", "Blend two images", alpha, module="mix"),
        augmenter("copy-paste", "CopyPaste", "Paste objects, those of rare classes as often", most, size, module="mix"),
    ]
