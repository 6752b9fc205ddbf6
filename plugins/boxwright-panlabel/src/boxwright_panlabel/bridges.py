"""What boxwright has to know of one of panlabel's formats; :mod:`boxwright_panlabel.table` says it of each."""

from __future__ import annotations

from dataclasses import dataclass, field

ANY = "*"
"""A field's name that stands for every attribute that has no field of its own."""


@dataclass(frozen=True)
class Field:
    """One of panlabel's attributes, all of which are texts, and the attribute of boxwright that it becomes.

    Args:
        key: panlabel's name; of a field named ``"*"`` the prefix of all keys that it stands for.
        name: boxwright's name; empty for what the sample says anyway, and is left out.
        kind: ``"text"``, ``"float"``, ``"int"``, ``"flag"`` (0 or 1), or ``"value"`` for anything that JSON holds.
        default: The value that is left out.
        written: Whether panlabel writes it, so that the format carries it.
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
        name: boxwright's name of it.
        summary: One line for lists.
        docs: Where it is defined.
        alias: panlabel's name, where boxwright's is another.
        target: ``"file"`` or ``"folder"``: what a written dataset is.
        endings: How the names of its files end; the first is written.
        writes: Whether it is written as well as read.
        pictures: The folder inside a written dataset to which the pictures are copied; ``None`` for none.
        searched: Folders in which a picture is looked for, from the dataset's own.
        sizes: Where pictures' sizes come from: ``"stated"`` in the annotation, ``"measured"`` by panlabel, or
            ``"guessed"`` by it from the boxes where neither is there.
        relative: Whether edges are stored divided by the picture's size.
        empty: Whether pictures without boxes are written.
        score: Whether scores are written.
        certain: The number that stands for a score of 1.
        split: Whether each picture's split is written.
        numbered: Whether the files hold class numbers.
        habit: ``"one_based"`` or ``"inclusive"`` where much data counts pixels so, and an option says whether it does.
        box: Attributes of boxes.
        image: Attributes of pictures.
        dataset: Attributes of the dataset.
        adds: What panlabel makes up for every picture, as in ``FormatSpec.adds``.
        order: The box attribute whose number keeps the order of a picture's boxes, which panlabel changes.
        label: The only class there is, where there is only one.
        names: What the names of pictures may be: ``"any"``, ``"plain"`` (no folder, ``?`` or ``#``), ``"spaceless"``,
            ``"suffixed"`` or ``"stem"`` (told apart without their ending).
        spaces: Whether labels may have white space in them.
        listing: Whether each annotation file of a folder must have given a picture.
        prefix: What panlabel puts before the name of every picture of a dataset that it wrote.
    """

    name: str
    summary: str
    docs: str
    alias: str = ""
    target: str = "file"
    endings: tuple[str, ...] = ()
    writes: bool = True
    pictures: str | None = None
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
    order: str = ""
    label: str = ""
    names: str = "any"
    spaces: bool = True
    listing: bool = False
    prefix: str = ""

    @property
    def program_name(self) -> str:
        """What panlabel calls the format."""
        return self.alias or self.name

    @property
    def carries(self) -> frozenset[str]:
        """As in :class:`boxwright.FormatSpec`; empty where the format is only read."""
        if not self.writes:
            return frozenset()
        chosen = {"images": self.pictures is not None, "empty": self.empty, "split": self.split}
        fields = {"box": self.box, "image": self.image, "dataset": self.dataset}
        return frozenset(
            {"subpixel"}
            | {name for name, holds in chosen.items() if holds}
            | ({"box.score"} if self.score else set())
            | {f"{of}.{one.name}" for of, each in fields.items() for one in each if one.written}
        )
