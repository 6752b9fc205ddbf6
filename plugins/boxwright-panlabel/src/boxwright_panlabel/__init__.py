"""Thirty more annotation formats for boxwright, by way of panlabel's JSON, and KITTI."""

from __future__ import annotations

from boxwright import FormatSpec, Option, hookimpl
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.table import BRIDGES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_panlabel.conformance"

INSTALL = 'python -m pip install "panlabel>=0.7,<0.8"'

_IMAGES = Option("images", str, None, "the folder of the pictures, where they are not beside the annotations")
_INVERTED = Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is above its xmax")
_PICTURES = Option(
    "pictures", bool, True, "whether the pictures are copied into the dataset", carries={"false": "-images"}
)
_INCLUSIVE = Option("inclusive", bool, False, "whether xmax and ymax name the last pixel of a box")
_HABITS = {
    "": (),
    "inclusive": (_INCLUSIVE,),
    "one_based": (Option("one_based", bool, False, "whether pixels count from 1 and xmax, ymax are in (Pascal VOC)"),),
}
_GUESSED = Option("guessed", ("error", "accept"), "error", "sizes that panlabel guessed from the boxes of a picture")
_BBOX = Option("bbox", ("xywh", "xyxy"), "xywh", "what the four numbers of a box are")
_READ = {
    "hf": (
        _BBOX,
        Option("split", str, None, "the one split to read, by the name of its folder"),
        Option("objects", str, None, "the column of the objects, where it is neither objects nor faces"),
        Option("category_map", str, None, "a JSON file of the classes' numbers and names"),
    ),
}
_WRITE = {
    "hf": (_BBOX,),
    "label-studio": (
        Option("from_name", str, "label", "the control tag's name in the labelling configuration"),
        Option("to_name", str, "image", "the object tag's name in the labelling configuration"),
    ),
}


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The formats of panlabel that no other plugin of boxwright reads."""
    return [*map(_spec, BRIDGES.values()), _kitti()]


def _spec(bridge: Bridge) -> FormatSpec:
    guessed = (_GUESSED,) if bridge.sizes == "guessed" else ()
    pictures = (_PICTURES,) if bridge.pictures is not None else ()
    habit = _HABITS[bridge.habit]
    return FormatSpec(
        name=bridge.name,
        summary=bridge.summary,
        load=f"boxwright_panlabel.reader:{bridge.name}",
        options=(_IMAGES, _INVERTED, *guessed, *habit, *_READ.get(bridge.name, ())),
        requires=("panlabel",),
        install=INSTALL,
        write=f"boxwright_panlabel.writer:{bridge.name}" if bridge.writes else "",
        write_options=(*pictures, *habit, *_WRITE.get(bridge.name, ())),
        detect=f"boxwright_panlabel.detect:{bridge.name}" if _is_told(bridge) else "",
        carries=bridge.carries,
        adds=bridge.adds,
        target=bridge.target,
        numbered=bridge.numbered and bridge.writes,
        # Endings that many formats share are not claimed, so that `out.csv` goes on meaning one format.
        suffixes=(".manifest",) if bridge.name == "sagemaker" else (),
        docs=bridge.docs,
    )


def _is_told(bridge: Bridge) -> bool:
    # Where a file says no sizes, panlabel answers only if the pictures lie where it looks for them; the columns of tfod
    # are those of the format csv; and of two formats panlabel does not know what their own tools write.
    unsure = bridge.name in ("tfod", "supervisely", "v7-darwin")
    return not unsure and not (bridge.target == "file" and bridge.sizes == "measured")


def _kitti() -> FormatSpec:
    names = ("truncated", "occluded", "alpha", "dimensions", "location", "rotation_y", "score")
    return FormatSpec(
        name="kitti",
        summary="KITTI's object labels: label_2 beside image_2, with or without training/ before them",
        load="boxwright_panlabel.kitti:KittiReader",
        options=(_IMAGES, _INVERTED, _INCLUSIVE),
        write="boxwright_panlabel.kitti:KittiWriter",
        write_options=(_PICTURES, _INCLUSIVE),
        detect="boxwright_panlabel.kitti:detect",
        carries=frozenset({"images", "empty", "subpixel", *(f"box.{name}" for name in names)}),
        target="folder",
        docs="https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=2d",
    )
