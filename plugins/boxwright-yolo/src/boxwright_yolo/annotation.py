"""The files of single images and of the classes, for ``boxwright annotate``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from boxwright import DataError
from boxwright.storage import Folder
from boxwright_yolo.description import find_description
from boxwright_yolo.paths import YAML_SUFFIXES, Tree, folder_and_file, label_file_of
from boxwright_yolo.writer import quoted


class YoloFiles:
    """Names the files; see :class:`boxwright.annotation.AnnotationFiles`."""

    @staticmethod
    def annotation_file(location: str, image: str) -> str:
        """Returns the path of the label file of an image that has none, as Ultralytics looks for it."""
        folder, _ = folder_and_file(location)
        return os.path.join(folder, label_file_of(os.path.relpath(image, folder).replace(os.sep, "/")))

    @staticmethod
    def class_files(location: str, names: Sequence[str]) -> Mapping[str, bytes]:
        """Returns the file of the class names with more at the end; the rest of a data.yaml stays unchanged.

        Raises:
            DataError: The file is outside the dataset, or a name cannot be a line of it.
        """
        folder, file = folder_and_file(location)
        tree = Tree(Folder.at(folder))
        description = find_description(tree, None, file)
        content = tree.folder.read(description.file)
        if description.file.lower().endswith(YAML_SUFFIXES):
            return {description.place: _with_names(content, description.place, description.names, names)}
        if any(name.strip() != name or len(name.splitlines()) != 1 for name in names):
            raise DataError(description.place, f"a class of {names!r} cannot be a line of it", "use another name")
        if max(description.names, default=-1) + 1 != len(content.rstrip(b"\r\n").splitlines()) and content.strip():
            raise DataError(description.place, "it has empty lines at the end", "remove them")
        newline = b"\r\n" if b"\r\n" in content else b"\n"
        start = content.rstrip(b"\r\n") + newline if content.strip() else b""
        return {description.place: start + b"".join(name.encode() + newline for name in names)}


def _with_names(content: bytes, place: str, old: Mapping[int, str], new: Sequence[str]) -> bytes:
    """Replaces the values of ``names`` and ``nc`` in a data.yaml, and nothing else of its text."""
    import yaml

    text = content.decode("utf-8-sig")
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    values = {key.value: value for key, value in root.value}
    first = max(old, default=-1) + 1
    every = {**old, **dict(enumerate(new, start=first))}
    listed = "{" + ", ".join(f"{number}: {quoted(name)}" for number, name in every.items()) + "}"
    block = "".join(f"  {number}: {quoted(name)}\n" for number, name in every.items())
    node = values.get("names")
    if node is None:
        raise DataError(place, "it has no names", "add names: to it")
    changes = [(node.start_mark.index, node.end_mark.index, listed)]
    if not node.flow_style and isinstance(node, yaml.CollectionNode):
        changes = [(text.rindex("\n", 0, node.start_mark.index) + 1, node.end_mark.index, block)]
    if "nc" in values:
        changes.append((values["nc"].start_mark.index, values["nc"].end_mark.index, str(len(every))))
    for start, end, value in sorted(changes, reverse=True):
        text = text[:start] + value + text[end:]
    return text.encode()
