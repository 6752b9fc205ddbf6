from collections.abc import Callable, Container, Mapping
from typing import Any

_Edges = tuple[float, float, float, float]

def parse_layout(
    data: bytes, /
) -> tuple[str, int, int, dict[str, Any], list[str], list[_Edges], list[Mapping[str, Any]] | None] | None: ...
def columns(
    labels: object, edges: object, attributes: object, /
) -> tuple[tuple[str, ...], tuple[_Edges, ...], tuple[Mapping[str, Any], ...] | None] | None: ...
def coco_annotations(
    labels: tuple[str, ...],
    edges: tuple[_Edges, ...],
    attributes: object,
    classes: dict[str, str],
    tails: dict[int, tuple[Mapping[str, Any], str | None]],
    tail: Callable[[Mapping[str, Any]], str | None],
    /,
) -> list[str] | None: ...
def plain_sample(
    image_class: type,
    sample_class: type,
    boxes_class: type,
    name: str,
    width: int,
    height: int,
    location: str | None,
    boxes: object,
    split: str | None,
    attributes: dict[str, Any],
    source: str,
    /,
) -> Any: ...
def lacking(key: str, mappings: tuple[Mapping[str, Any], ...], /) -> int: ...
def json_members(attributes: Mapping[str, Any], reserved: Container[str], /) -> str | None: ...
def read_small(path: str, /) -> bytes | None: ...
def fill_in(content: bytes, first: int, counts: list[int] | None, owner: int, /) -> bytes: ...
def voc_objects(
    labels: tuple[str, ...],
    edges: tuple[_Edges, ...],
    attributes: object,
    texts: dict[str, str],
    shift: float,
    /,
) -> str | None: ...
def coco_rows(
    text: bytes, at: int, base: int, kinds: dict[bytes, int], new_kind: Callable[[bytes], int], /
) -> tuple[int, bytes, bytes, bytes, bytes, bytes, bytes, bytes]: ...
