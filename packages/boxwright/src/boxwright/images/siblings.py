"""Images in another folder than their annotations: ``JPEGImages`` next to ``Annotations``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

from boxwright.errors import BoxwrightError
from boxwright.images.lookup import ImageLookup, is_image
from boxwright.images.names import folded, without_suffix
from boxwright.storage.filesystem import list_folder
from boxwright.storage.folder import Folder
from boxwright.storage.uri import IMAGE_SUFFIXES, base_name, is_remote, join, parent

_USUAL = frozenset(
    {
        *("images", "image", "imgs", "img", "jpegimages", "photos", "photo", "pictures", "pics"),
        *("annotations", "annotation", "annots", "anns", "labels", "label", "xmls", "xml", "json", "jsons"),
    }
)
_MOST = 100


def lookup_for(
    folder: Folder, images: str | None, annotations: Sequence[str], *, uri: str, field: str, named: Iterable[str] = ()
) -> ImageLookup:
    """Returns the images of annotation files.

    They are in the folder that was set, else in that of the annotations. If that contains no image at all, they are in
    the one folder next to it that contains images with their names; if there are several, a note names them.

    Args:
        folder: The folder of the annotations.
        images: The option ``images``.
        annotations: The annotation files in the folder.
        uri: The dataset's URI, for notes.
        field: As for :class:`ImageLookup`.
        named: Names of some images, if these are not the names of the annotation files.
    """
    if images is not None:
        return ImageLookup(Folder.at(images), field, besides=annotations)
    lookup = ImageLookup(folder, field, besides=annotations)
    first = next(filter(is_image, lookup.names), None)
    if first is not None:
        of_annotations = {name[: name.rfind("/") + 1] for name in annotations}
        apart = first[: first.rfind("/") + 1] not in of_annotations  # else the folders of all images need not be known
        if annotations and not named and apart and (inside := lookup.folders_of_images).isdisjoint(of_annotations):
            lookup.notes = (
                f"images are in {_listed(inside)}, annotations in {_listed(of_annotations)}: paired by name",
            )
        return lookup
    return _near(lookup, folder.location, [*named] or annotations[:_MOST], uri, field)


def lookup_of_file(
    location: str, images: str | None, names: Sequence[str], *, uri: str, field: str = "file name"
) -> ImageLookup:
    """Returns the images that one annotation file names, as :func:`lookup_for`; without listing a folder if possible.

    Args:
        location: The annotation file.
        images: The option ``images``.
        names: The names of some images.
        uri: The dataset's URI, for notes.
        field: As for :class:`ImageLookup`.
    """
    if images is not None:
        return ImageLookup(images, field)
    lookup = ImageLookup(parent(location), field)
    if any(lookup.contains(name) for name in names):
        return lookup
    return _near(lookup, parent(location), names, uri, field)


def _near(lookup: ImageLookup, location: str, names: Iterable[str], uri: str, field: str) -> ImageLookup:
    """Returns the images in a folder next to another one, or a lookup with a note."""
    near = folders_near(location, names, tuple(IMAGE_SUFFIXES))
    if len(near) == 1:
        lookup = ImageLookup(near[0], field)
        lookup.notes = (f"images are in {near[0]}, next to the folder of the annotations: paired by name",)
    elif near:
        choices = " or ".join(f"{uri}?images={place}" for place in near)
        lookup.notes = (f"the images may be in several folders, and are not used: say which, {choices}",)
    return lookup


def folders_near(location: str, names: Iterable[str], suffixes: tuple[str, ...]) -> list[str]:
    """Returns the folders next to a folder that contain files with some names, without suffix, and some suffixes.

    Only folders with usual names (``images``, ``JPEGImages``, ``annots``) are searched, with their sub-folders: any
    other may be another dataset.

    Args:
        location: The folder; a path or a URL.
        names: The names; a suffix and folders are ignored.
        suffixes: The suffixes, in lower case.
    """
    wanted = {folded(each) for name in names for each in (base_name(name), without_suffix(base_name(name)))}
    above = parent(location.rstrip("/")) if is_remote(location) else os.path.normpath(os.path.join(location, ".."))
    own = base_name(location.rstrip("/") if is_remote(location) else os.path.abspath(location))
    usual = sorted(name[:-1] for name in _entries(above) if name[:-1].lower() in _USUAL and name[:-1] != own)
    return [place for name in usual if _contains(place := join(above, name), wanted, suffixes)]


def _entries(location: str) -> list[str]:
    try:
        return list_folder(location)
    except (BoxwrightError, OSError):
        return []


def _contains(location: str, wanted: Collection[str], suffixes: tuple[str, ...]) -> bool:
    try:
        files = Folder.at(location).ending(*suffixes)
    except (BoxwrightError, OSError):
        return False
    return any(folded(without_suffix(base_name(name))) in wanted for name in files)


def _listed(folders: Iterable[str]) -> str:
    first, *more = sorted(folder[:-1] or "the folder itself" for folder in folders)
    return f"{first} and {len(more)} more folders" if len(more) > 1 else " and ".join((first, *more))
