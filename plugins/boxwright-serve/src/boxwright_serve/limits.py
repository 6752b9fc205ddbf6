"""What a server accepts, and the errors that it answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """What a server accepts.

    Attributes:
        image_bytes: The largest encoded image.
        pixels: The largest number of pixels of an image.
        queue: The number of images that may wait or be in progress at the same time.
        batch_size: The largest number of images that the model predicts at once.
        batch_wait: The time in seconds for which the first image of a batch waits for others.
        body_seconds: The time in seconds in which the body of a request must arrive.
    """

    image_bytes: int = 20_000_000
    pixels: int = 50_000_000
    queue: int = 64
    batch_size: int = 8
    batch_wait: float = 0.002
    body_seconds: float = 30.0


@dataclass
class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: The HTTP status.
        problem: The reason.
        remedy: What the client can do.
        headers: Further headers of the response.
    """

    status: int
    problem: str
    remedy: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, str]:
        """Returns the JSON object of the response, with the key ``error`` of the Open Inference Protocol."""
        # JSON may contain half of a surrogate pair, which UTF-8 cannot.
        problem = self.problem.encode(errors="replace").decode()
        return {"error": problem} | ({"remedy": self.remedy} if self.remedy else {})
