"""The augmenter myplugin for boxwright."""

from boxwright import AugmenterSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenter ``myplugin``."""
    return [
        AugmenterSpec(
            name="myplugin",
            summary="Changes the brightness of images",
            # Imported on first use, not when the augmenter is listed.
            load="boxwright_myplugin.augmenter:MyPluginAugmenter",
            options=(Option("strength", float, 0.3, "maximum difference of the brightness factor from 1, up to 1"),),
            requires=("tensorflow",),
            install="python -m pip install tensorflow",
        ),
    ]
