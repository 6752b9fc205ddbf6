"""Steps for boxwright conversions: resize and split."""

from __future__ import annotations

from boxwright import Option, TransformSpec, hookimpl

boxwright_api = (1, 1)


@hookimpl
def boxwright_transforms() -> list[TransformSpec]:
    """The steps ``resize`` and ``split``."""
    return [
        TransformSpec(
            name="resize",
            summary="Scales pictures and boxes, turned upright as their EXIF orientation says",
            load="boxwright_transforms.resize:Resize",
            positional="size",
            options=(
                Option("size", str, help="WIDTHxHEIGHT in pixels, such as 800x600", required=True),
                Option(
                    "fit",
                    ("stretch", "inside", "pad"),
                    "stretch",
                    "stretch to exactly that size; inside keeps the shape and stays within it; pad adds grey to that",
                ),
                Option("only_larger", bool, False, "Leave pictures that fit into the size as they are"),
                Option("quality", int, 90, "Of JPEG, 1 to 95"),
            ),
        ),
        TransformSpec(
            name="split",
            summary="Shares the pictures out into parts, so that every class is in every part where possible",
            load="boxwright_transforms.split:Split",
            positional="parts",
            keyed=True,
            options=(
                Option("parts", str, help="NAME=SHARE for each part, summing to 1: train=0.8,test=0.2"),
                Option("seed", int, 0, "Another seed gives another split"),
                Option(
                    "near_duplicates", bool, False, "Keep pictures that look alike in one part; reads every picture"
                ),
            ),
        ),
    ]
