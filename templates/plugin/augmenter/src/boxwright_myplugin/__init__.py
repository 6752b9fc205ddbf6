"""The augmenter myplugin for boxwright."""

from boxwright import AugmenterSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this works with
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_augmenters() -> list[AugmenterSpec]:
    """The augmenter ``myplugin``."""
    return [
        AugmenterSpec(
            name="myplugin",
            summary="Makes pictures brighter or darker",
            # Imported when the augmenter is used, not when it is listed.
            load="boxwright_myplugin.augmenter:MyPluginAugmenter",
            options=(Option("strength", float, 0.3, "how far from 1 the factor of the levels may be, up to 1"),),
            requires=("tensorflow",),
            install="python -m pip install tensorflow",
        ),
    ]
