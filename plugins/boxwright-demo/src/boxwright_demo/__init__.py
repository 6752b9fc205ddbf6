"""Drawn images with bounding boxes for boxwright: a dataset to start from, without a download."""

from __future__ import annotations

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_demo.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``demo``."""
    return [
        FormatSpec(
            name="demo",
            summary="Drawn images of mugs, leaves and keys: train, test or all",
            load="boxwright_demo.reader:DemoReader",
            options=(
                Option("images", int, 240, "Number of images in train; test has a quarter of it"),
                Option("seed", int, 0, "Seed of everything random"),
                Option("small", bool, False, "Whether there are many small objects, in images of 960x720 pixels"),
                Option("size", str, None, "Width and height of each image in pixels, at least 48x48; 192x160"),
            ),
            docs="https://pillow.readthedocs.io/en/stable/reference/ImageDraw.html",
        )
    ]
