"""Video: the frames of files, cameras and network streams as images.

OpenCV reads and writes it. Its wheels contain FFmpeg under the LGPL, without codecs under the GPL, which those of PyAV
contain.
"""

from __future__ import annotations

import glob
import importlib
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

import numpy as np
from PIL import Image

from boxwright.datasets.protocols import OnProblem
from boxwright.errors import DataError, MissingLibraryError
from boxwright.schemas import DatasetInfo, ImageRef, Sample

VIDEO_SUFFIXES: Final = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)
INSTALL: Final = "python -m pip install 'boxwright[video]'"
_STREAMS = ("rtsp://", "rtsps://", "rtmp://")
_OPEN_MILLISECONDS = 10_000
_USUAL_RATE = 25.0
_TRIED_CAMERAS = 5
_LONGEST = 3600.0
"""The longest plausible time between two frames of a file, in seconds."""
_FEW = 0.05
"""The share of frames that may be missing from the number in a header, which is an estimate in some containers."""


def is_video(item: str) -> bool:
    """Returns whether an input of ``predict`` is a video: a file by its suffix, a camera's number, or a stream."""
    if item.lower().startswith(_STREAMS):
        return True
    return (item.isdecimal() and not os.path.exists(item)) or os.path.splitext(item)[1].lower() in VIDEO_SUFFIXES


@dataclass
class Video:
    """One video of a prediction.

    Attributes:
        name: The name of the file, ``camera-0``, or the address without a login.
        frames: The number of frames that were read.
        detections: The number of detections in them.
        note: A problem: it ended early.
    """

    name: str
    frames: int = 0
    detections: int = 0
    note: str = ""


class VideoReader:
    """Reads videos frame by frame: samples with the frame as a BMP image, under the name that it has in a dataset.

    The attributes of a sample are ``video``, its :class:`Video`; ``frame``, the number of the frame, from 0;
    ``seconds``, its time; ``rate``, the frames per second. A camera or a stream has no end: :meth:`stop` ends it.

    Args:
        places: Files, numbers of cameras, addresses of streams.
        frames: The number of frames to read from each; 0 for all.

    Attributes:
        videos: What has been read of each video.
        live: Whether there is a camera or a stream.
        locations: The files.

    Raises:
        MissingLibraryError: OpenCV is not installed.
        DataError: A file cannot be read, a camera was not found, or a stream does not answer.
    """

    def __init__(self, places: Sequence[str], frames: int = 0) -> None:
        self._places = list(places)
        self._frames = frames
        self._stopped = False
        self._live = [not os.path.isfile(place) for place in places]
        self.live = any(self._live)
        self.locations = tuple(place for place in places if os.path.isfile(place))
        self.videos = [Video(_name(place)) for place in places]
        self._captures = [_opened(place) for place in places]
        self._counts = [
            0 if live else _frame_count(capture) for live, capture in zip(self._live, self._captures, strict=True)
        ]
        known = [min(count, frames) if frames else count for count in self._counts]
        self.info = DatasetInfo(
            format="video",
            location=", ".join(map(shown_place, places)),
            num_samples=frames * len(places) if self.live and frames else None if self.live else sum(known),
        )

    def stop(self) -> None:
        """Ends after the current frame."""
        self._stopped = True

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields all frames, once.

        Raises:
            DataError: They were read already.
        """
        if self._places and not self._captures:
            raise DataError(self.info.location, "a video is read once, and it was", "open it again")
        captures, self._captures = self._captures, []
        for place, live, video, count, capture in zip(
            self._places, self._live, self.videos, self._counts, captures, strict=True
        ):
            try:
                yield from self._read_one(capture, video, live)
            finally:
                capture.release()
            complete = self._stopped or (self._frames and video.frames == self._frames)
            if not video.frames and not self._stopped:
                on_problem(DataError(shown_place(place), "it contains no frame that can be decoded", "check the file"))
            elif not complete and live:
                video.note = f"it ended after {video.frames} frames"
            elif not complete and video.frames < count - max(1, _FEW * count):
                video.note = f"{video.frames} of {count} frames could be decoded: it may be cut off"

    def _read_one(self, capture: Any, video: Video, live: bool) -> Iterator[Sample]:
        rate = capture.get(opencv().CAP_PROP_FPS)
        rate = rate if 0 < rate < 1000 else _USUAL_RATE
        stem = PurePath(video.name).stem if not live else re.sub(r"\W+", "-", video.name).strip("-")
        started, latest = time.monotonic(), -1.0
        while not self._stopped and not (self._frames and video.frames == self._frames):
            read, pixels = capture.read()
            if not read:
                return
            number = video.frames
            seconds = time.monotonic() - started if live else capture.get(opencv().CAP_PROP_POS_MSEC) / 1000
            if not live and not latest < seconds < latest + _LONGEST:  # unknown, or a counter that overflowed
                seconds = number / rate if number / rate > latest else latest + 1 / rate
            latest = seconds
            video.frames += 1
            image = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
            buffer = io.BytesIO()
            image.save(buffer, "BMP")
            name = f"{stem}-{number:06d}.jpg"  # as in a dataset
            yield Sample(
                image=ImageRef(name=name, width=image.width, height=image.height, data=buffer.getvalue(), format="bmp"),
                source=f"{video.name}, frame {number}",
                attributes={"video": video, "frame": number, "seconds": seconds, "rate": rate},
            )


@contextmanager
def ended_by_interrupt(reader: VideoReader) -> Iterator[None]:
    """Lets the first Ctrl-C end a camera or a stream, so that what was recorded is complete; the second one aborts."""
    if not reader.live or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        reader.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _name(place: str) -> str:
    return (
        f"camera-{int(place)}"
        if place.isdecimal()
        else os.path.basename(place)
        if os.path.isfile(place)
        else shown_place(place)
    )


def shown_place(place: str) -> str:
    """Returns a place without what could be a login in its address.

    A password may contain any character, so all up to the last ``@`` is left out, and the query, in which cameras take
    logins, too; of an address with an ``@`` after a ``?`` or ``#``, all but the scheme.
    """
    scheme, mark, rest = place.partition("://")
    if not mark:
        return place
    login, _, address = rest.rpartition("@")
    return scheme + mark + ("..." if re.search("[?#]", login) else re.split("[?#]", address)[0])


def opencv() -> Any:
    """Returns OpenCV.

    Raises:
        MissingLibraryError: It is not installed.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # it writes to stderr of what is an error here anyway
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise MissingLibraryError("videos are read by OpenCV, which is not installed", f"run: {INSTALL}") from None
    return cv2


def _opened(place: str) -> Any:
    cv2 = opencv()
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        if place.isdecimal():
            capture = cv2.VideoCapture(int(place))
            if not capture.isOpened():
                raise DataError(f"camera {int(place)}", "camera not found", _cameras(cv2))
            return capture
        if os.path.isfile(place):
            capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG)
            if not capture.isOpened():
                raise DataError(
                    place, "it cannot be read as a video: it is cut off, or not a video", "replace the file"
                )
            return capture
        if "://" not in place:
            raise DataError(place, "video not found", "check the path")
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            _OPEN_MILLISECONDS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            _OPEN_MILLISECONDS,
        ]
        capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise DataError(
                shown_place(place), "the stream does not answer", "check the address, the login and the network"
            )
        return capture
    finally:
        log.setLogLevel(level)


def _cameras(cv2: Any) -> str:
    """Returns a remedy that names the cameras."""
    if sys.platform == "linux":
        tried: Iterable[int] = sorted(int(path[len("/dev/video") :]) for path in glob.glob("/dev/video[0-9]*"))
    else:
        tried = range(_TRIED_CAMERAS)
    found = []
    for number in tried:
        capture = cv2.VideoCapture(number)
        if capture.isOpened():
            found.append(str(number))
        capture.release()
    return f"use one of: {', '.join(found)}" if found else "connect one: none was found"


def _frame_count(capture: Any) -> int:
    """Returns the number of frames by the header of a file; 0 if it does not say it."""
    count = capture.get(opencv().CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < 1e9 else 0
