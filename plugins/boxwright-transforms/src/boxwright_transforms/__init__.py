"""Transforms: steps of boxwright conversions that correct, select, change and split images and their boxes."""

from __future__ import annotations

from boxwright import Option, TransformSpec, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_transforms.conformance"

_SEED = Option("seed", int, 0, "Seed of everything random")
_QUALITY = Option("quality", int, 90, "JPEG quality, 1 to 95")
_GROUP = Option("group", str, "", "Keep together: folder, image.NAME, or a regular expression for names: ^(cam[0-9]+)_")
_NEAR_DUPLICATES = Option("near_duplicates", bool, False, "Whether to keep near-duplicates together; reads every image")


@hookimpl
def boxwright_transforms() -> list[TransformSpec]:
    """Returns the transforms, in their usual order in a conversion."""
    return [
        *(_fix(), _upright(), _filter(), _remap(), _dedupe(), _sample(), _split(), _kfold(), _tile(), _resize()),
        _augment(),
    ]


def _fix() -> TransformSpec:
    return TransformSpec(
        name="fix",
        summary="Clips boxes to the image, drops zero-area, tiny and duplicate boxes, corrects image sizes",
        load="boxwright_transforms.fix:Fix",
        reading={"inverted": "swap"},
        options=(
            Option("clip", bool, True, "Whether to clip boxes to their image, and drop those completely outside"),
            Option("flat", ("drop", "keep"), "drop", "Boxes with zero area"),
            Option("tiny", float, 0.0, "Minimum width and height of a box in pixels, after clipping"),
            Option("duplicates", ("drop", "keep"), "drop", "Boxes identical to an earlier one of their image"),
            Option(
                "size",
                ("keep", "picture", "scale"),
                "keep",
                "Wrong sizes: keep does not check, size=picture uses that of the file, scale also scales the boxes",
            ),
        ),
    )


def _upright() -> TransformSpec:
    return TransformSpec(
        name="upright",
        summary="Rotates images with an EXIF orientation, and changes nothing else",
        load="boxwright_transforms.upright:Upright",
        options=(Option("quality", int, 95, "JPEG quality, 1 to 95"),),
    )


def _filter() -> TransformSpec:
    return TransformSpec(
        name="filter",
        summary="Keeps images and boxes by class, size, aspect ratio, attribute, split or name",
        load="boxwright_transforms.filter:Filter",
        positional="conditions",
        keyed=True,
        options=(
            Option("conditions", str, help="box.NAME=VALUE and image.NAME=VALUE: difficult=0, image.camera=left+right"),
            Option("classes", str, help="Only boxes of these classes: apple+fig, with * and ? as in file names"),
            Option("not_classes", str, help="No boxes of these classes"),
            Option("side", str, help="Shorter side of a box in pixels: 8.. or ..20 or 8..20"),
            Option("width", str, help="Width of a box in pixels"),
            Option("height", str, help="Height of a box in pixels"),
            Option("area", str, help="Area of a box in square pixels"),
            Option("share", str, help="Area of a box as a fraction of the image: 0.001.."),
            Option("aspect", str, help="Width of a box divided by its height"),
            Option("splits", str, help="Only images of these splits: train+val"),
            Option("names", str, help="Only images with these names, with * and ? as in file names: cam1/*"),
            Option("not_names", str, help="No images with these names"),
            Option(
                "pictures_with", str, help="Only images with a box of one of these classes; they keep all their boxes"
            ),
            Option("pictures_without", str, help="No images with a box of one of these classes"),
            Option("picture_width", str, help="Width of an image in pixels"),
            Option("picture_height", str, help="Height of an image in pixels"),
            Option("picture_aspect", str, help="Width of an image divided by its height"),
            Option(
                "boxes", str, help="Number of boxes that remain in an image: 1.. for images with boxes, 0 for others"
            ),
            Option("emptied", ("keep", "drop"), "keep", "Images that lost all their boxes"),
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
            Option("file", str, "", "CSV file with two columns, old and new, or JSON object"),
            Option("others", ("keep", "drop"), "keep", "Boxes of classes that are not in the map"),
            Option("into", str, "", "New class of all classes that are not in the map"),
        ),
    )


def _dedupe() -> TransformSpec:
    return TransformSpec(
        name="dedupe",
        summary="Keeps one of several duplicate or near-duplicate images; reads every image",
        load="boxwright_transforms.dedupe:Dedupe",
        positional="how",
        options=(
            Option("how", ("exact", "near"), "exact", "exact: the same bytes; near: images that look alike"),
            Option("keep", ("first", "most_boxes"), "first", "Which duplicate to keep"),
            Option("scope", ("dataset", "split"), "dataset", "split compares only images of the same split"),
            Option("bits", int, 4, "With near: how many of the 64 bits of two hashes may differ, 0 to 8"),
            Option("unreadable", ("error", "keep"), "error", "Images that cannot be read"),
        ),
    )


def _sample() -> TransformSpec:
    return TransformSpec(
        name="sample",
        summary="Selects images at random, in proportion to classes or balanced",
        load="boxwright_transforms.sample:RandomSample",
        positional="amount",
        options=(
            Option("amount", str, help="Number of images: 500, 10% or 0.1", required=True),
            _SEED,
            Option(
                "classes",
                ("random", "stratified", "balanced"),
                "random",
                "stratified: classes in proportion; balanced: each class in the same number of images",
            ),
        ),
    )


def _split() -> TransformSpec:
    return TransformSpec(
        name="split",
        summary="Divides the images into splits, with every class in every split if possible",
        load="boxwright_transforms.split:Split",
        positional="parts",
        keyed=True,
        options=(
            Option("parts", str, help="NAME=FRACTION for each split, adding up to 1: train=0.8,test=0.2"),
            _SEED,
            _NEAR_DUPLICATES,
            _GROUP,
            Option("order", str, "", "name or image.NAME: the first split gets the first images in this order"),
        ),
    )


def _kfold() -> TransformSpec:
    return TransformSpec(
        name="kfold",
        summary="Divides the images into folds of equal size for cross-validation",
        load="boxwright_transforms.kfold:KFold",
        positional="folds",
        options=(
            Option("folds", int, help="Number of folds, at least 2", required=True),
            Option("fold", int, help="The fold that becomes the split val, from 0; the others become train"),
            _SEED,
            _NEAR_DUPLICATES,
            _GROUP,
        ),
    )


def _tile() -> TransformSpec:
    return TransformSpec(
        name="tile",
        summary="Cuts large images into overlapping tiles, and clips their boxes",
        load="boxwright_transforms.tile:Tile",
        positional="size",
        options=(
            Option("size", str, help="WIDTHxHEIGHT in pixels, or one number for squares: 640", required=True),
            Option("overlap", float, 0.2, "Overlap in pixels; below 1, a fraction of the size"),
            Option("visible", float, 0.3, "Minimum fraction of a box's area in a tile for the tile to contain the box"),
            Option("empty", ("keep", "drop"), "keep", "Tiles without boxes"),
            _QUALITY,
        ),
    )


def _resize() -> TransformSpec:
    return TransformSpec(
        name="resize",
        summary="Resizes images and boxes, and applies the EXIF orientation",
        load="boxwright_transforms.resize:Resize",
        positional="size",
        options=(
            Option("size", str, help="WIDTHxHEIGHT in pixels, such as 800x600", required=True),
            Option(
                "fit",
                ("stretch", "inside", "pad"),
                "stretch",
                "stretch to exactly this size; inside keeps the aspect ratio; pad adds gray padding to that",
            ),
            Option("only_larger", bool, False, "Whether to leave images that are not larger unchanged"),
            _QUALITY,
        ),
    )


def _augment() -> TransformSpec:
    return TransformSpec(
        name="augment",
        summary="Adds randomly changed copies of images, by the augmenters of boxwright train --augment",
        load="boxwright_transforms.augment:Augment",
        positional="steps",
        options=(
            Option("steps", str, help="Augmenters: flip+crop(smallest=0.4)+choice(color|blur)", required=True),
            Option("copies", int, 1, "Number of copies per image"),
            Option("originals", bool, True, "Whether to keep the images themselves"),
            Option("splits", str, "", "Augment only images of these splits: train"),
            _SEED,
            _QUALITY,
        ),
    )
