"""Thirty more annotation formats for boxwright through panlabel's JSON, and KITTI."""

from __future__ import annotations

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import IMAGES, SHAPES
from boxwright_panlabel.bridges import Bridge
from boxwright_panlabel.table import BRIDGES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_panlabel.conformance"

INSTALL = 'python -m pip install "panlabel>=0.7,<0.8"'

_IMAGES = Option("images", str, None, "the folder of the images, if they are not next to the annotations")
_INVERTED = Option("inverted", ("error", "swap"), "error", "what to do with a box whose xmin is greater than its xmax")
_COPY = Option("pictures", bool, True, "whether the images are copied into the dataset", carries={"false": "-images"})
_INCLUSIVE = Option("inclusive", bool, False, "whether xmax and ymax are the last pixel of a box")
_HABITS = {
    "": (),
    "inclusive": (_INCLUSIVE,),
    "one_based": (
        Option("one_based", bool, False, "whether pixels are counted from 1 and xmax, ymax are inclusive (Pascal VOC)"),
    ),
}
_GUESSED = Option(
    "guessed", ("error", "accept"), "error", "what to do with image sizes that panlabel guessed from the boxes"
)
_BBOX = Option("bbox", ("xywh", "xyxy"), "xywh", "what the four numbers of a box are")
_READ = {
    "hf": (
        _BBOX,
        Option("split", str, None, "the split to read, the name of its folder"),
        Option("objects", str, None, "the column of the objects, if it is neither objects nor faces"),
        Option("category_map", str, None, "a JSON file with the ids and names of the classes"),
    ),
}
_WRITE = {
    "hf": (_BBOX,),
}


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """The formats of panlabel that no other plugin reads, and ``kitti``."""
    return [*map(_spec, BRIDGES.values()), _kitti()]


def _spec(bridge: Bridge) -> FormatSpec:
    shapes = (SHAPES,) if bridge.shape else ()
    guessed = (_GUESSED,) if bridge.sizes == "guessed" else ()
    copy = (_COPY,) if bridge.image_folder is not None else (IMAGES,) if bridge.target == "file" else ()
    habit = _HABITS[bridge.habit]
    return FormatSpec(
        name=bridge.name,
        summary=bridge.summary,
        load=f"boxwright_panlabel.reader:{bridge.name}",
        options=(*shapes, _IMAGES, _INVERTED, *guessed, *habit, *_READ.get(bridge.name, ())),
        requires=("panlabel",),
        install=INSTALL,
        write=f"boxwright_panlabel.writer:{bridge.name}" if bridge.writes else "",
        write_options=(*copy, *habit, *_WRITE.get(bridge.name, ())),
        detect=f"boxwright_panlabel.detect:{bridge.name}" if _is_detectable(bridge) else "",
        carries=bridge.carries,
        adds=bridge.adds,
        bridge="panlabel",
        target=bridge.target,
        numbered=bridge.numbered and bridge.writes,
        true_size=bridge.relative or bridge.sizes == "measured",
        # Suffixes that many formats share are not registered, so that `out.csv` remains unambiguous.
        suffixes=(".manifest",) if bridge.name == "sagemaker" else (),
        docs=bridge.docs,
    )


def _is_detectable(bridge: Bridge) -> bool:
    # The columns of tfod are those of csv, and panlabel does not recognize what the tools of the other two formats
    # write.
    return bridge.name not in ("tfod", "supervisely", "v7-darwin")


def _kitti() -> FormatSpec:
    names = ("truncated", "occluded", "alpha", "dimensions", "location", "rotation_y", "score")
    return FormatSpec(
        name="kitti",
        summary="KITTI object labels: label_2 next to image_2, with or without training/",
        load="boxwright_panlabel.kitti:KittiReader",
        options=(_IMAGES, _INVERTED, _INCLUSIVE),
        write="boxwright_panlabel.kitti:KittiWriter",
        write_options=(_COPY, _INCLUSIVE),
        detect="boxwright_panlabel.kitti:detect",
        carries=frozenset({"images", "empty", "subpixel", *(f"box.{name}" for name in names)}),
        target="folder",
        true_size=True,
        docs="https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=2d",
    )
