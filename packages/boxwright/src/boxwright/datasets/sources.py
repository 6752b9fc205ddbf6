"""Opens the readers of a dataset: one for a URI, or several for splits in several places and datasets to merge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from boxwright.datasets.detect import detect_format
from boxwright.datasets.image_places import remembered, remembers
from boxwright.datasets.merged import MergedReader, Source, distinct_names, expand_splits
from boxwright.datasets.protocols import Reader
from boxwright.datasets.sidecar import with_sidecar
from boxwright.datasets.split_folders import parts_of
from boxwright.errors import UsageError
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import FormatSpec
from boxwright.storage.filesystem import is_folder, unpacked
from boxwright.storage.links import Boundary
from boxwright.storage.stores import check_finished
from boxwright.storage.switch import settle
from boxwright.storage.uri import DatasetURI, is_remote, join, parent

Location = str | os.PathLike[str] | DatasetURI
"""What names a dataset: the text of a URI, a path, or a URI."""


class Opened(NamedTuple):
    """The reader of a dataset.

    Attributes:
        reader: The reader.
        uri: Its URI with the format and all options; empty for several datasets.
        boundary: Its folders.
    """

    reader: Reader
    uri: str
    boundary: Boundary


def open_sources(
    given: Sequence[DatasetURI | Source],
    wanted: Mapping[str, str],
    plugins: Registry,
    begin: Callable[[FormatSpec], None] = lambda spec: None,
) -> Opened:
    """Opens a dataset, or several as one.

    Args:
        given: URIs, and sources that are open already.
        wanted: Options of reading, for formats that have them, unless the URI sets them.
        plugins: The plugins.
        begin: Called with each format before its reader is made.

    Raises:
        UsageError: A dataset appears twice, an option is wrong, or a format cannot be detected.
        PluginError: A plugin is missing.
        DataError: There is nothing at a location.
    """
    sources: list[Source] = []
    for each in given:
        if isinstance(each, DatasetURI):
            sources += _sources(each, wanted, plugins, begin)
        else:
            sources.append(each)
    uri, location = "", " + ".join(source.uri.location for source in sources)
    if len(given) == 1 and isinstance(given[0], DatasetURI):
        first, whole = sources[0].uri, given[0]
        location = whole.location if whole.has_split or len(sources) > 1 else first.location
        options = whole.options if whole.has_split else first.options
        uri = str(DatasetURI(location, first.format, options))
    if len(sources) == 1 and sources[0].split is None:
        return Opened(sources[0].reader, uri, sources[0].boundary)
    opened = [str(source.uri) for source in sources if source.uri.format]  # others are in memory
    if len(set(opened)) < len(opened):
        raise UsageError("a dataset appears twice among those to merge", "name each once")
    names = distinct_names([source.uri.location for source in sources])
    for source, name in zip(sources, names, strict=True):
        source.name = source.split if len(given) == 1 and source.split else name
    return Opened(MergedReader(sources, location, compare=len(given) > 1), uri, Boundary(()))


def _sources(
    uri: DatasetURI, wanted: Mapping[str, str], plugins: Registry, begin: Callable[[FormatSpec], None]
) -> list[Source]:
    """Opens what a URI names: one source, or one per split."""
    if not is_remote(uri.location):
        for folder in (parent(uri.location), uri.location):
            settle(folder, wait=True)
    elif not uri.has_split:
        check_finished(uri.location)
    if uri.has_split:
        found: list[Source] = []
        for split, each in expand_splits(uri).items():
            named = replace(each, format=uri.format or (found[0].uri.format if found else None))
            sources = _sources(named, wanted, plugins, begin)
            for source in sources:
                source.split = split
            found += sources
        return found
    uri = replace(uri, location=unpacked(uri.location))
    name = uri.format or detect_format(uri.location, plugins)
    spec: FormatSpec = plugins.get("format", name).spec
    if not spec.load:
        raise UsageError(f"the format {name!r} can be written and not read", "see `boxwright formats`")
    known = {option.name for option in spec.options}
    steps = {option: value for option, value in wanted.items() if option in known}
    uri = replace(uri, format=name, options=steps | uri.options)
    begin(spec)
    parts = parts_of(spec, uri.location, plugins) or {"": uri.location}
    return [_source(replace(uri, location=place), split or None, spec, plugins) for split, place in parts.items()]


def _source(uri: DatasetURI, split: str | None, spec: FormatSpec, plugins: Registry) -> Source:
    make = plugins.resolve("format", spec.name)
    images = uri.options.get("images") or (remembered(uri.location) if remembers(spec) else None)
    chosen = uri.options if images is None else {**uri.options, "images": images}
    options = convert_options(chosen, spec.options, f"{spec.name}:{uri.location}")
    reader: Reader = with_sidecar(make(uri.location, **options), spec, uri.location)
    return Source(uri, reader, _boundary(uri.location, images), split=split)


def _boundary(location: str, images: str | None) -> Boundary:
    """Returns the folders of a dataset: its own, and that of its images if it was set."""
    own = location if is_folder(location) else parent(location)
    return Boundary([own] if images is None else [own, images, join(own, images)])
