"""The tracks of CVAT for video: an object that moves, with a shape at each key frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from boxwright.datasets import ItemError
from boxwright_cvat.items import Item, item
from boxwright_cvat.shapes import TAGS
from boxwright_cvat.stream import Node

_LARGEST = 10_000_000


class _Key(NamedTuple):
    """A key frame of a track: its object, ``None`` from where the track is outside the image."""

    frame: int
    item: Item
    outside: bool


class Video:
    """The tracks of a file, and what its ``<meta>`` contains about the frames.

    A track is interpolated between its key frames, and continues after the last one to the end of the video, unless it
    is outside there.

    Attributes:
        found: Whether there is a track.
        size: The size of the frames in pixels, if the file contains it.
        subset: The subset of the video; empty if it has none.
    """

    def __init__(self) -> None:
        self.found = False
        self.size: tuple[int, int] | None = None
        self.subset = ""
        self._first, self._last, self._step, self._count = 0, -1, 1, 0
        self._tracks: list[list[_Key]] = []

    def add_meta(self, node: Node) -> None:
        """Reads the size and the numbers of the frames."""
        for owner in ("task", "job", "project"):
            about = node.find(owner)
            if about is None:
                continue
            texts = {child.tag: child.text.strip() for child in about.children}
            self._first, self._count = _whole(texts.get("start_frame")), _whole(texts.get("size"))
            self._last = _whole(texts.get("stop_frame"), -1)
            self._step = _whole(texts.get("frame_filter", "").partition("=")[2], 1) or 1
            self.subset = texts.get("subset", "")
            size = node.find("original_size") or about.find("original_size")
            if size is not None:
                width, height = (_whole(each.text) if each else 0 for each in (size.find("width"), size.find("height")))
                self.size = (width, height) if width and height else None

    def add_track(self, node: Node) -> None:
        """Reads a track.

        Raises:
            ItemError: A shape of the track is invalid.
        """
        self.found = True
        number, label = node.attributes.get("id", ""), node.attributes.get("label", "")
        self.subset = node.attributes.get("subset", self.subset)
        keys = {}
        for child in node.children:
            if child.tag not in TAGS:
                continue
            frame = _whole(child.attributes.get("frame"), -1)
            place = f"track {number}, frame {child.attributes.get('frame')}"
            if frame < 0:
                raise ItemError("it has no frame", 'write frame="0"', f"track {number}, {child.tag}")
            outside = child.attributes.get("outside") == "1" and child.tag != "skeleton"
            found = item(child, place, label)
            more = {"group_id": node.attributes["group_id"]} if "group_id" in node.attributes else {}
            track = {"track_id": int(number) if number.isdecimal() and len(number) < 10 else number} if number else {}
            keys[frame] = _Key(frame, found._replace(attributes={**more, **found.attributes, **track}), outside)
        if keys:
            self._tracks.append([keys[frame] for frame in sorted(keys)])

    def frames(self) -> range:
        """Returns the numbers of the frames."""
        last = self._last if self._last >= self._first else self._first + (self._count - 1) * self._step
        last = max([last, *(track[-1].frame - track[-1].outside for track in self._tracks)])
        return range(self._first, min(last, self._first + _LARGEST * self._step) + 1, self._step)

    def at(self, frame: int) -> Iterator[Item]:
        """Yields the objects of a frame."""
        for track in self._tracks:
            place = bisect_right(track, frame, key=lambda key: key.frame) - 1
            if place < 0 or track[place].outside:
                continue
            before = track[place]
            if before.frame == frame or place + 1 == len(track):
                yield before.item
                continue
            after = track[place + 1]
            share = (frame - before.frame) / (after.frame - before.frame)
            yield before.item._replace(drawn=before.item.drawn.towards(after.item.drawn, share))


def _whole(text: str | None, default: int = 0) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else default
