"""The dataset format myplugin for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl

boxwright_api = (1, 1)  # the oldest and the newest plugin API that this works with
# How `boxwright plugins check` tests it.
boxwright_conformance = "boxwright_myplugin.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The format ``myplugin``."""
    return [
        FormatSpec(
            name="myplugin",
            summary="One JSON object a line, a line a picture",
            # Imported when the format is used, not when it is listed.
            load="boxwright_myplugin.reader:MyPluginReader",
            write="boxwright_myplugin.writer:MyPluginWriter",
            detect="boxwright_myplugin.detect:detect",
            options=(Option("images", str, None, "the folder of the pictures, where it is not the file's own"),),
            # What a written file holds beyond names, sizes, classes and whole pixels. The tests hold it to that.
            carries=frozenset({"empty", "subpixel", "box.difficult"}),
            suffixes=(".myplugin",),
            # Where the format is defined.
            docs="https://example.org/myplugin",
        ),
    ]
