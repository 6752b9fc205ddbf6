"""The transforms of Albumentations as augmenters: ``--augment albumentations:RandomFog,p=0.3``."""

from __future__ import annotations

from boxwright import AugmenterSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_albumentations.conformance"


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenter ``albumentations``."""
    return [
        AugmenterSpec(
            name="albumentations",
            summary="Apply a transform of Albumentations",
            load="boxwright_albumentations.augmenter:AlbumentationsAugmenter",
            options=(
                Option("transform", str, help="Name of the transform: RandomFog, ISONoise, Perspective", required=True),
            ),
            positional="transform",
            arguments="arguments",
            requires=("albumentations", "cv2"),
            install="python -m pip install nrtk-albumentations opencv-python-headless",
        )
    ]
