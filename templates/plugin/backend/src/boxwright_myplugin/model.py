"""The trained model, ready to predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from boxwright import Boxes, Coordinates, Detections, LabelMap, Sample


class MyPluginModel:
    """Predicts one box of each class in every image.

    Args:
        label_map: The classes.
        boxes: ``xmin, ymin, xmax, ymax`` of each class, relative to the image size.
    """

    def __init__(self, label_map: LabelMap, boxes: Mapping[str, Coordinates]) -> None:
        self.label_map = label_map
        self._boxes = boxes

    def predict(self, samples: Iterable[Sample], *, batch_size: int = 8, score: float = 0.0) -> Iterator[Detections]:
        """Yields the detections of each image, in order, best first; see :class:`boxwright.models.Model`."""
        for sample in samples:
            sample.image.read()  # a network would use it; a missing image is a DataError
            yield self._found(sample).above(score)

    def _found(self, sample: Sample) -> Detections:
        width, height = sample.image.width, sample.image.height
        edges = [(x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in self._boxes.values()]
        scores = [{"score": 1.0 / position} for position in range(1, len(edges) + 1)]
        return Detections(image=sample.image, boxes=Boxes(list(self._boxes), edges, scores))
