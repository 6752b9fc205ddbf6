"""The description of one of panlabel's formats; :mod:`boxwright_panlabel.table` contains one for each."""

from __future__ import annotations

from dataclasses import dataclass, field

ANY = "*"
"""The name of a field that stands for all attributes without a separate field."""


@dataclass(frozen=True)
class Field:
    """One of panlabel's attributes, which are all text, and the corresponding attribute of boxwright.

    Args:
        key: The name in panlabel; for a field named ``"*"``, the prefix of all its keys.
        name: The name in boxwright; empty for a value that is ignored because the sample contains it.
        kind: ``"text"``, ``"float"``, ``"int"``, ``"flag"`` (0 or 1), or ``"value"`` for any JSON value.
        default: The value that is omitted.
        written: Whether panlabel writes it, so the format carries it.
    """

    key: str
    name: str = ""
    kind: str = "text"
    default: object = None
    written: bool = False


@dataclass(frozen=True)
class Bridge:
    """One format.

    Args:
        name: The name in boxwright.
        summary: A one-line description.
        docs: The URL of its specification.
        alias: The name in panlabel, if it is different.
        target: ``"file"`` or ``"folder"``: the kind of a written dataset.
        endings: The suffixes of its files; the first is written.
        writes: Whether it can be written.
        image_folder: The folder in a written dataset to which the images are copied; ``None`` if they are not.
        searched: The folders in which images are searched for, relative to the dataset.
        sizes: The source of image sizes: ``"stated"`` in the annotation, ``"measured"`` by panlabel, or
            ``"guessed"`` from the boxes if neither is possible.
        relative: Whether coordinates are stored relative to the image size.
        empty: Whether images without boxes are written.
        score: Whether scores are written.
        certain: The number for a score of 1.
        split: Whether the split of each image is written.
        numbered: Whether the files contain class ids.
        habit: ``"one_based"`` or ``"inclusive"`` if much data has this convention, for which there is an option.
        box: The box attributes.
        image: The image attributes.
        dataset: The dataset attributes.
        adds: What panlabel generates for every image, as in ``FormatSpec.adds``.
        shape: The box attribute that names a shape that is not an upright box; empty if the format has none.
        ignores: What panlabel ignores when it reads, for a note.
        order: The box attribute whose number restores the order of the boxes, which panlabel changes.
        label: The only class, if there is only one.
        names: The possible names of images: ``"any"``, ``"plain"`` (no folder, ``?`` or ``#``), ``"spaceless"``,
            ``"suffixed"`` or ``"stem"`` (unique without the suffix).
        spaces: Whether labels may contain white space.
        listing: Whether each annotation file of a folder must contain an image.
        prefix: The prefix of all image names in a dataset that panlabel wrote.
    """

    name: str
    summary: str
    docs: str
    alias: str = ""
    target: str = "file"
    endings: tuple[str, ...] = ()
    writes: bool = True
    image_folder: str | None = None
    searched: tuple[str, ...] = ("", "images")
    sizes: str = "stated"
    relative: bool = False
    empty: bool = True
    score: bool = False
    certain: int = 1
    split: bool = False
    numbered: bool = False
    habit: str = ""
    box: tuple[Field, ...] = ()
    image: tuple[Field, ...] = ()
    dataset: tuple[Field, ...] = ()
    adds: frozenset[str] = field(default_factory=frozenset)
    shape: str = ""
    ignores: str = ""
    order: str = ""
    label: str = ""
    names: str = "any"
    spaces: bool = True
    listing: bool = False
    prefix: str = ""

    @property
    def program_name(self) -> str:
        """The name of the format in panlabel."""
        return self.alias or self.name

    @property
    def carries(self) -> frozenset[str]:
        """The value for :class:`boxwright.FormatSpec`; empty if the format can only be read."""
        if not self.writes:
            return frozenset()
        chosen = {"images": self.image_folder is not None, "empty": self.empty, "split": self.split}
        fields = {"box": self.box, "image": self.image, "dataset": self.dataset}
        return frozenset(
            {"subpixel"}
            | {name for name, is_carried in chosen.items() if is_carried}
            | ({"box.score"} if self.score else set())
            | {f"{of}.{one.name}" for of, each in fields.items() for one in each if one.written}
        )
