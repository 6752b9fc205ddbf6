"""Dataset URIs: ``FORMAT:LOCATION[?option=value&...]``.

``labelimg:data/images/train``, ``tfrecord:train.record?label_map=label_map.pbtxt``, ``csv:s3://bucket/labels.csv``.
Without ``FORMAT:`` the format is detected. A single letter before the colon is a Windows drive, and ``scheme://`` is a
location, not a format. A location contains ``?`` only in a shard pattern. In option values ``%XX`` stands for a byte as
in URLs; ``+`` is a plain plus.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from boxwright.errors import UsageError

_FORMAT = re.compile(r"(?P<format>[A-Za-z][A-Za-z0-9_.-]+):(?!//)(?P<rest>.*)", re.DOTALL)

SPLIT = "{split}"
"""Stands for the name of a split in a location."""

_LOCATION = re.compile(r"(?:[^?]|(?<=-)\?+(?=-of-))*")
"""Up to the question mark of the options; those of a shard pattern, ``-?????-of-00010``, belong to the location."""


@dataclass(frozen=True)
class DatasetURI:
    """A parsed dataset URI.

    Args:
        location: A path or URL; may contain ``{split}``.
        format: The format's name, or ``None`` where it is to be detected.
        options: As written, decoded, in order.
    """

    location: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> DatasetURI:
        """Takes a URI apart.

        Raises:
            UsageError: The location is missing, or an option has no ``=``, is a duplicate, or is not UTF-8.
        """
        match = _FORMAT.fullmatch(text)
        name, rest = (match["format"].lower(), match["rest"]) if match else (None, text)
        location = _LOCATION.match(rest)[0]  # type: ignore[index]  # it matches the empty text, too
        mark, query = rest[len(location) : len(location) + 1], rest[len(location) + 1 :]
        if not location:
            raise UsageError(f"{text!r} names no place", "write FORMAT:PLACE, such as labelimg:photos/train")
        options: dict[str, str] = {}
        for part in query.split("&") if mark else ():
            key, equals, value = part.partition("=")
            if not key or not equals:
                raise UsageError(f"{text!r}: the option {part!r} has no value", "write ?name=value&other=value")
            try:
                key, value = unquote(key, errors="strict"), unquote(value, errors="strict")
            except UnicodeDecodeError:
                raise UsageError(f"{text!r}: the option {part!r} is not UTF-8", "write a plain % as %25") from None
            if key in options:
                raise UsageError(f"{text!r}: duplicate option {key!r}", "remove one of them")
            options[key] = value
        return cls(location, name, options)

    @classmethod
    def of(cls, value: str | os.PathLike[str] | DatasetURI) -> DatasetURI:
        """Returns the URI of a text, or of a path, which is a location without format and options.

        Raises:
            UsageError: As :meth:`parse`.
        """
        if isinstance(value, DatasetURI):
            return value
        return cls.parse(value) if isinstance(value, str) else cls(os.fspath(value))

    @property
    def has_split(self) -> bool:
        """Whether the location contains ``{split}``."""
        return SPLIT in self.location

    def for_split(self, split: str) -> DatasetURI:
        """The URI with ``{split}`` filled in, also in the options: ``coco:{split}.json?images={split}``."""
        options = {name: value.replace(SPLIT, split) for name, value in self.options.items()}
        return replace(self, location=self.location.replace(SPLIT, split), options=options)

    def __str__(self) -> str:
        safe = "/:\\@,.{}"
        query = "&".join(f"{quote(k, safe='')}={quote(v, safe=safe)}" for k, v in self.options.items())
        return (f"{self.format}:" if self.format else "") + self.location + (f"?{query}" if query else "")


HEIC_SUFFIXES = frozenset({".heic", ".heif"})
"""File name extensions of images that only a further library decodes: see :func:`boxwright.images.reads_heic`."""
IMAGE_SUFFIXES = HEIC_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".mpo"}
)
"""File name extensions of images."""


def is_remote(location: str) -> bool:
    """Whether a location is a URL for fsspec, and not a local path."""
    return "://" in location


def join(folder: str, name: str) -> str:
    """A file's location inside a folder, local or remote: ``zip://a::x.zip`` and ``b`` make ``zip://a/b::x.zip``."""
    if folder in ("", "."):
        return name
    head, chain = _split_chain(folder)
    return (head + name if head.endswith("/") else f"{head}/{name}") + chain


def parent(location: str) -> str:
    """The folder of a location, local (``.`` for a bare name) or remote."""
    if not is_remote(location):
        return os.path.dirname(location) or "."
    head, chain = _split_chain(location)
    scheme, mark, path = head.partition("://")
    return scheme + mark + path.rstrip("/").rpartition("/")[0] + chain


def base_name(location: str) -> str:
    """The last part of a location, without folders."""
    if not is_remote(location):
        return os.path.basename(location)
    return _split_chain(location)[0].rstrip("/").rpartition("/")[2]


def with_suffix(location: str, suffix: str) -> str:
    """The location with something added to its name, in an archive too: ``zip://a.csv.old::x.zip``."""
    head, chain = _split_chain(location)
    return head + suffix + chain


def _split_chain(location: str) -> tuple[str, str]:
    """A location, and its container by fsspec's chaining: ``zip://a`` and ``::x.zip``."""
    if not is_remote(location):
        return location, ""
    head, mark, rest = location.partition("::")
    return head, mark + rest
