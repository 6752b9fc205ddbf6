"""A model with its queue: from images to the detections of answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from boxwright import BoxwrightError, DataError, Detections, Sample
from boxwright.models import Model, decoder_of
from boxwright_serve.batching import Batcher
from boxwright_serve.images import sample_of
from boxwright_serve.limits import Limits, RequestError
from boxwright_serve.metrics import Metrics

_QUICK: Final = (b"\xff\xd8\xff", b"\x89PNG")
"""How JPEG and PNG files begin: reading their headers takes less time than asking another thread."""


class Service:
    """A model with its queue, limits and metrics.

    Args:
        model: The model.
        name: Its name in addresses and answers.
        limits: What is accepted.
        score: The lowest score of a detection; ``None`` for what the model was tuned for, or else 0.3.

    Attributes:
        batcher: The queue.
        metrics: What is counted.
    """

    def __init__(self, model: Model, name: str, limits: Limits, score: float | None = None) -> None:
        self.model = model
        self.name = name
        self.limits = limits
        self._score = score
        self._decoder = decoder_of(model)
        self.batcher = Batcher(model, limits, lambda images, seconds: self.metrics.batch(images, seconds))
        self.metrics = Metrics(name, limits, lambda: self.batcher.in_work)

    def score_of(self, score: float | None) -> float | dict[str, float]:
        """Returns the lowest score of a request's detections, by class if the model was tuned so.

        Args:
            score: The score in the request; ``None`` if it has none.
        """
        chosen = score if score is not None else self._score
        if chosen is not None:
            return chosen
        least = self._decoder.score
        return dict(zip(self.model.label_map.names, least, strict=True)) if isinstance(least, tuple) else least

    async def detect(
        self, images: Sequence[bytes], names: Sequence[str], score: float | None = None
    ) -> list[Detections]:
        """Returns the detections in images, whose places in the queue are reserved.

        Args:
            images: The encoded images.
            names: Their names, for messages.
            score: The lowest score; ``None`` for that of the server.

        Raises:
            RequestError: An image cannot be used, or the model failed.
        """
        samples = [await self._sample(data, name) for data, name in zip(images, names, strict=True)]
        try:
            found = await self.batcher.predict(samples)
        except Exception as error:
            if isinstance(error, DataError) and error.file in names:
                raise RequestError(422, f"{error.file}: {error.problem}", "send the file again") from None
            text = error.message if isinstance(error, BoxwrightError) else f"{type(error).__name__}: {error}"
            logging.getLogger("boxwright").error("the model failed: %s", text)
            raise RequestError(500, "the model failed", "see the messages of the server") from None
        chosen = [self._shown(each, score) for each in found]
        for each in chosen:
            self.metrics.found(each)
        return chosen

    async def _sample(self, data: bytes, name: str) -> Sample:
        if data.startswith(_QUICK):
            return sample_of(data, name, self.limits)
        return await asyncio.to_thread(sample_of, data, name, self.limits)

    def _shown(self, found: Detections, score: float | None) -> Detections:
        chosen = score if score is not None else self._score
        return self._decoder.shown(found, self.model.label_map) if chosen is None else found.above(chosen)

    def describe(self) -> dict[str, Any]:
        """Returns the model for the page: name, classes with their colors, score, and limits."""
        from boxwright.render import palette, text_color

        names = self.model.label_map.names
        colors = palette(names)
        classes = [
            {"label": name, "color": _css(colors[name]), "ink": _css(text_color(colors[name]))} for name in names
        ]
        limits = {"image_bytes": self.limits.image_bytes, "pixels": self.limits.pixels}
        return {"name": self.name, "classes": classes, "score": self.score_of(None), "limits": limits}


def _css(color: tuple[int, int, int]) -> str:
    return "rgb({} {} {})".format(*map(int, color))
