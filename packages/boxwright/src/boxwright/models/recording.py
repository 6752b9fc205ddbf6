"""Recordings: the annotated frames of videos as MP4 files, and the detections in them as one line per frame."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePath
from types import TracebackType
from typing import IO, Any, Final

import numpy as np
from PIL import Image

from boxwright.errors import OutputError
from boxwright.images.decode import decode_image, encode_jpeg
from boxwright.label_map import LabelMap
from boxwright.models.video import Video, opencv
from boxwright.render.boxes import draw_boxes, palette
from boxwright.schemas import Detections, Sample
from boxwright.storage.output import AtomicOutput

DETECTIONS: Final = "detections.json"
"""The file with one entry per image."""
FRAMES: Final = "detections.jsonl"
"""The file with one line per frame."""
_QUALITY = 95


class Recording:
    """Annotated videos, and the detections in them, in a folder.

    Args:
        output: The folder; ``None`` to count only.
        label_map: The classes.

    Attributes:
        names: The names of the MP4 files.
    """

    def __init__(self, output: AtomicOutput | None, label_map: LabelMap) -> None:
        self._folder = Path(output.workplace) if output is not None and output.workplace else None
        self._lines: IO[bytes] | None = output.open(FRAMES) if output is not None else None
        self._colors = palette(label_map.names)
        self._writers: dict[int, Any] = {}
        self._written: dict[int, int] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self.names: list[str] = []

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes all files.

        Raises:
            OutputError: A video cannot be read again, or frames are missing: the disk is full.
        """
        for writer in self._writers.values():
            writer.release()
        if kind is None and self._folder is not None:
            for key, name in zip(self._writers, self.names, strict=True):
                _check_written(self._folder / name, self._written[key])

    def add(self, sample: Sample, found: Detections) -> str:
        """Adds a frame, and returns no name: a frame is not a file.

        Raises:
            OutputError: The video cannot be written.
        """
        video: Video = sample.attributes["video"]
        video.detections += len(found.boxes)
        if self._folder is None or self._lines is None:
            return ""
        line = {
            "video": video.name,
            "frame": sample.attributes["frame"],
            "seconds": round(sample.attributes["seconds"], 3),
            "detections": detections_as_json(found),
        }
        self._lines.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        image = decode_image(sample.image.read(), sample.image.name)
        boxes = found.boxes
        drawn = draw_boxes(
            image, boxes.xyxy, boxes.labels, found.scores, colors=self._colors, min_side=1, max_side=max(image.size)
        )
        self._write(sample, drawn)
        return ""

    def _write(self, sample: Sample, drawn: Image.Image) -> None:
        """Adds a frame to its MP4 file; one of a camera as often as its time demands."""
        video, rate = sample.attributes["video"], sample.attributes["rate"]
        key = id(video)
        if key not in self._writers:
            self._writers[key] = self._opened(video, rate, drawn.size)
            self._sizes[key] = drawn.size
        if drawn.size != self._sizes[key]:  # OpenCV would leave it out
            drawn = drawn.resize(self._sizes[key])
        due = max(self._written.get(key, 0) + 1, round(sample.attributes["seconds"] * rate) + 1)
        pixels = np.ascontiguousarray(np.asarray(drawn)[..., ::-1])
        for _ in range(due - self._written.get(key, 0)):
            self._writers[key].write(pixels)
        self._written[key] = due

    def _opened(self, video: Video, rate: float, size: tuple[int, int]) -> Any:
        stem = re.sub(r"[^\w.-]+", "-", PurePath(video.name).stem).strip("-.") or "video"
        name, number = f"{stem}.mp4", 1
        while name in self.names:
            number += 1
            name = f"{stem}-{number}.mp4"
        self.names.append(name)
        cv2 = opencv()
        assert self._folder is not None
        writer = cv2.VideoWriter(str(self._folder / name), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
        if not writer.isOpened():
            raise OutputError(f"OpenCV cannot write {name} of {size[0]}x{size[1]} pixels", "use a smaller video")
        return writer


def _check_written(path: Path, frames: int) -> None:
    """Compares a video with what was written to it: OpenCV does not say that writing failed."""
    cv2 = opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
    if found != frames:
        raise OutputError(
            f"{path.name} could not be written: it has {found} of {frames} frames",
            "free some space there, or choose another disk; nothing was changed there",
        )


def frame_as_jpeg(found: Detections) -> Detections:
    """Returns the detections in a frame with the frame as a JPEG image."""
    image = found.image
    decoded = decode_image(image.read(), image.name)
    name = str(PurePath(image.name).with_suffix(".jpg"))
    data = encode_jpeg(decoded, _QUALITY)
    return Detections(image=image.model_copy(update={"name": name, "data": data, "format": "jpeg"}), boxes=found.boxes)


def detections_as_json(found: Detections) -> list[dict[str, Any]]:
    """Returns detections as plain values: boxes as ``xmin ymin xmax ymax`` in pixels."""
    return [
        {"label": label, "score": round(score, 4), "box": [round(edge, 2) for edge in edges]}
        for label, score, edges in zip(found.boxes.labels, found.scores, found.boxes.coordinates, strict=True)
    ]
