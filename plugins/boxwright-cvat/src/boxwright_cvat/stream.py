"""Reads an XML file one element below the root at a time, so that memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final
from xml.parsers import expat

from boxwright import DataError
from boxwright.storage import open_binary

_CHUNK = 1 << 12
_DEEPEST: Final = 30
_REMEDY = "repair the file, or export it again"


class Node:
    """An element.

    Attributes:
        tag: Its name.
        attributes: Its XML attributes.
        text: The text directly inside it.
        children: The elements inside it.
        line: The line where it begins.
    """

    __slots__ = ("attributes", "children", "line", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.text = ""
        self.children: list[Node] = []
        self.line = line

    def find(self, *tags: str) -> Node | None:
        """Returns the first descendant along these tags."""
        node: Node | None = self
        for tag in tags:
            node = next((child for child in node.children if child.tag == tag), None) if node is not None else None
        return node


def nodes(location: str, root: str) -> Iterator[Node]:
    """Yields each element below the root.

    Args:
        location: A path, or a URL that fsspec opens.
        root: The name of the root element.

    Raises:
        DataError: The file is missing, is not well-formed XML, has another root element, or has a document type:
            entities are never expanded.
    """
    with open_binary(location) as file:
        yield from _Parser(location, root).nodes(file)


class _Parser:
    def __init__(self, location: str, root: str) -> None:
        self._location = location
        self._root = root
        self._open: list[Node] = []
        self._depth = 0
        self._done: list[Node] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def nodes(self, file: IO[bytes]) -> Iterator[Node]:
        started = False
        while True:
            chunk = file.read(_CHUNK)
            started = started or bool(chunk.strip())
            if not chunk and not started:
                raise DataError(self._location, "the file is empty", "export it again")
            try:
                self._parser.Parse(chunk, not chunk)
            except expat.ExpatError as error:
                problem = f"it is not well-formed XML: {expat.ErrorString(error.code)} at column {error.offset + 1}"
                yield from self._taken()
                raise DataError(self._location, problem, _REMEDY, f"line {error.lineno}") from None
            except DataError:
                yield from self._taken()
                raise
            except (LookupError, ValueError) as error:  # an encoding that expat does not support
                raise DataError(self._location, f"its encoding cannot be read: {error}", "save it as UTF-8") from None
            yield from self._taken()
            if not chunk:
                return

    def _taken(self) -> list[Node]:
        done, self._done = self._done, []
        return done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._depth and tag != self._root:
            raise self._error(f"the root element is <{tag}>, not <{self._root}>", "check the format of the file")
        if self._depth >= _DEEPEST:
            raise self._error("it is nested too deeply", _REMEDY)
        if self._depth:
            node = Node(tag, attributes, self._parser.CurrentLineNumber)
            if self._open:
                self._open[-1].children.append(node)
            self._open.append(node)
        self._depth += 1

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth:
            node = self._open.pop()
            if not self._open:
                self._done.append(node)

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    def _refuse_doctype(self, *declaration: Any) -> None:
        raise self._error(
            "it has a document type, which is not allowed because entities can be used for attacks",
            "remove the <!DOCTYPE ...> part",
        )

    def _error(self, problem: str, remedy: str) -> DataError:
        return DataError(self._location, problem, remedy, f"line {self._parser.CurrentLineNumber}")
