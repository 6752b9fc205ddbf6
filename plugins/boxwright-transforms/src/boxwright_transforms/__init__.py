"""Steps for boxwright conversions: what changes, chooses, cuts, mends and shares out pictures and their boxes."""

from __future__ import annotations

from boxwright import Option, TransformSpec, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_transforms.conformance"

_SEED = Option("seed", int, 0, "Another seed gives another result")
_QUALITY = Option("quality", int, 90, "Of JPEG, 1 to 95")
_GROUP = Option(
    "group", str, "", "Keep together: folder, image.NAME, or what this regular expression finds in names: ^(cam[0-9]+)_"
)
_NEAR_DUPLICATES = Option("near_duplicates", bool, False, "Keep pictures that look alike together; reads every picture")


@hookimpl
def boxwright_transforms() -> list[TransformSpec]:
    """The steps, in the order in which a conversion most often has them."""
    return [_fix(), _filter(), _remap(), _dedupe(), _sample(), _split(), _kfold(), _tile(), _resize()]


def _fix() -> TransformSpec:
    return TransformSpec(
        name="fix",
        summary="Mends boxes: cuts those that reach outside, drops flat, tiny and double ones; and wrong picture sizes",
        load="boxwright_transforms.fix:Fix",
        reading={"inverted": "swap"},
        options=(
            Option("clip", bool, True, "Cut boxes at the edges of their picture, and drop those wholly outside"),
            Option("flat", ("drop", "keep"), "drop", "Boxes without area"),
            Option("tiny", float, 0.0, "Drop boxes narrower or lower than so many pixels"),
            Option(
                "duplicates", ("drop", "keep"), "drop", "Boxes that are the same as an earlier one of their picture"
            ),
            Option(
                "size",
                ("keep", "picture", "scale"),
                "keep",
                "Where the file has another: keep does not look, picture takes that, scale scales the boxes as well",
            ),
        ),
    )


def _filter() -> TransformSpec:
    return TransformSpec(
        name="filter",
        summary="Keeps some of the pictures and boxes: by class, size, shape, attribute, split, name",
        load="boxwright_transforms.filter:Filter",
        positional="conditions",
        keyed=True,
        options=(
            Option("conditions", str, help="box.NAME=VALUE and image.NAME=VALUE: difficult=0, image.camera=left+right"),
            Option("classes", str, help="Only boxes of these classes: apple+fig, with * and ? as in file names"),
            Option("not_classes", str, help="No boxes of these classes"),
            Option("side", str, help="Of a box, the smaller of width and height in pixels: 8.. or ..20 or 8..20"),
            Option("width", str, help="Of a box, in pixels"),
            Option("height", str, help="Of a box, in pixels"),
            Option("area", str, help="Of a box, in square pixels"),
            Option("share", str, help="Of a box, its area by that of its picture: 0.001.."),
            Option("aspect", str, help="Of a box, width by height"),
            Option("splits", str, help="Only pictures of these splits: train+val"),
            Option("names", str, help="Only pictures with such names, with * and ? as in file names: cam1/*"),
            Option("not_names", str, help="No pictures with such names"),
            Option("pictures_with", str, help="Only pictures with a box of one of these classes; all their boxes stay"),
            Option("pictures_without", str, help="No pictures with a box of one of these classes"),
            Option("picture_width", str, help="Of a picture, in pixels"),
            Option("picture_height", str, help="Of a picture, in pixels"),
            Option("picture_aspect", str, help="Of a picture, width by height"),
            Option("boxes", str, help="How many boxes a picture has left: 1.. for pictures with boxes, 0 for others"),
            Option("emptied", ("keep", "drop"), "keep", "Pictures that had boxes and lost all of them"),
        ),
    )


def _remap() -> TransformSpec:
    return TransformSpec(
        name="remap",
        summary="Renames, merges and drops classes",
        load="boxwright_transforms.remap:Remap",
        positional="classes",
        keyed=True,
        options=(
            Option("classes", str, help="OLD=NEW for each class, OLD= to drop it: apple=fruit,pear=fruit,leaf="),
            Option("file", str, "", "A CSV file with two columns, old and new, or a JSON object"),
            Option("others", ("keep", "drop"), "keep", "Boxes of classes that are not named"),
            Option("into", str, "", "The one class that all that are not named become"),
        ),
    )


def _dedupe() -> TransformSpec:
    return TransformSpec(
        name="dedupe",
        summary="Keeps one of the pictures that are the same, or look alike; reads every picture",
        load="boxwright_transforms.dedupe:Dedupe",
        positional="how",
        options=(
            Option("how", ("exact", "near"), "exact", "exact: the same bytes; near: pictures that look alike"),
            Option("keep", ("first", "most_boxes"), "first", "Which of them stays"),
            Option("scope", ("dataset", "split"), "dataset", "split looks through each split by itself"),
            Option("bits", int, 4, "With near: in how many of 64 bits the pictures' hashes may differ, 0 to 8"),
            Option("unreadable", ("error", "keep"), "error", "keep lets pictures pass that cannot be read"),
        ),
    )


def _sample() -> TransformSpec:
    return TransformSpec(
        name="sample",
        summary="Draws some of the pictures by lot, at random or evenly by class",
        load="boxwright_transforms.sample:Draw",
        positional="amount",
        options=(
            Option("amount", str, help="How many pictures: 500, 10% or 0.1", required=True),
            _SEED,
            Option(
                "classes",
                ("random", "stratified", "balanced"),
                "random",
                "stratified: every class in the same share; balanced: every class in as many pictures",
            ),
        ),
    )


def _split() -> TransformSpec:
    return TransformSpec(
        name="split",
        summary="Shares the pictures out into parts, so that every class is in every part where possible",
        load="boxwright_transforms.split:Split",
        positional="parts",
        keyed=True,
        options=(
            Option("parts", str, help="NAME=SHARE for each part, summing to 1: train=0.8,test=0.2"),
            _SEED,
            _NEAR_DUPLICATES,
            _GROUP,
            Option("order", str, "", "name or image.NAME: the first part has the first pictures in this order"),
        ),
    )


def _kfold() -> TransformSpec:
    return TransformSpec(
        name="kfold",
        summary="Shares the pictures out into folds of one size, each of which is held out once",
        load="boxwright_transforms.kfold:KFold",
        positional="folds",
        options=(
            Option("folds", int, help="How many, at least 2", required=True),
            Option("fold", int, help="The one that becomes the split val, from 0; the others become train"),
            _SEED,
            _NEAR_DUPLICATES,
            _GROUP,
        ),
    )


def _tile() -> TransformSpec:
    return TransformSpec(
        name="tile",
        summary="Cuts large pictures into tiles that overlap, and their boxes with them",
        load="boxwright_transforms.tile:Tile",
        positional="size",
        options=(
            Option("size", str, help="WIDTHxHEIGHT in pixels, or one number for squares: 640", required=True),
            Option("overlap", float, 0.2, "In pixels, or below 1 as a share of the size"),
            Option("visible", float, 0.3, "The share of a box's area that a tile must show to have it"),
            Option("empty", ("keep", "drop"), "keep", "Tiles without boxes"),
            _QUALITY,
        ),
    )


def _resize() -> TransformSpec:
    return TransformSpec(
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
            _QUALITY,
        ),
    )
