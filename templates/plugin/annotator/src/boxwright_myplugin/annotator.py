"""Asks in the terminal whether the boxes of each image are complete."""

from __future__ import annotations

from boxwright import Reporter
from boxwright.annotation import AnnotationSession


class MyPluginAnnotator:
    """Marks the images as checked for which the answer is ``y``."""

    def annotate(self, session: AnnotationSession, reporter: Reporter) -> None:
        """Asks for each image, and saves the answers."""
        for image, sample in enumerate(session.samples):
            found = ", ".join(sample.boxes.labels) or "nothing"
            if input(f"{sample.image.name}: {found}. Is this complete (y/n)? ") == "y":
                session.verify(image)
        session.save()
