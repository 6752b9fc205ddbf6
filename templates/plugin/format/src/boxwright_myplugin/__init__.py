"""The dataset format myplugin for boxwright: reader and writer."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this supports
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``myplugin``."""
    return [
        FormatSpec(
            name="myplugin",
            summary="JSON Lines, one object per image",
            # Imported on first use, not when the format is listed.
            load="boxwright_myplugin.reader:MyPluginReader",
            write="boxwright_myplugin.writer:MyPluginWriter",
            detect="boxwright_myplugin.detect:detect",
            options=(Option("images", str, None, "the folder of the images, if it is not that of the file"),),
            # What a file contains in addition to names, sizes, classes and whole pixels. The tests check this.
            carries=frozenset({"empty", "subpixel", "box.difficult"}),
            suffixes=(".myplugin",),
            # The specification of the format.
            docs="https://example.org/myplugin",
        ),
    ]
