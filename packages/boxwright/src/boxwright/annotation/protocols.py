"""What an annotator must do, and how a format names the files of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from boxwright.annotation.session import AnnotationSession
    from boxwright.progress import Reporter


@runtime_checkable
class Annotator(Protocol):
    """Lets a person edit the boxes of a dataset: the object behind ``boxwright annotate --with NAME``.

    A complete annotator, which asks for the class of every box in the terminal::

        class Terminal:
            def annotate(self, session, reporter):
                for number, sample in enumerate(session.samples):
                    labels = [input(f"{sample.image.name}: {label}? ") or label for label in sample.boxes.labels]
                    boxes = [(label, box, n) for n, (label, box) in enumerate(zip(labels, sample.boxes.coordinates))]
                    session.edit(number, boxes, revision=session.revisions[number])
                session.save()

    The factory named by ``AnnotatorSpec.load`` is called as ``factory(**options)``.
    """

    def annotate(self, session: AnnotationSession, reporter: Reporter) -> None:
        """Returns when the person has finished. Edits that are not saved then stay in the journal.

        Args:
            session: The images in their order, with all operations on them.
            reporter: Where messages go, such as the address of a page.
        """
        ...


class AnnotationFiles(Protocol):
    """Where a format keeps the annotation of one image, if neither the reader nor the writer shows it.

    ``FormatSpec.files`` names an object with these functions.
    """

    def annotation_file(self, location: str, image: str) -> str:
        """Returns the path of the annotation of an image that has none yet.

        Args:
            location: The location of the dataset.
            image: The path of the image file.
        """
        ...

    def class_files(self, location: str, names: Sequence[str]) -> Mapping[str, bytes]:
        """Returns the files that list the classes, by path, with more classes at the end.

        Args:
            location: The location of the dataset.
            names: The new classes, in order.

        Raises:
            DataError: They cannot be added.
        """
        ...
