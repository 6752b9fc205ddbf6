from collections.abc import Callable, Mapping
from typing import Any

_Coordinates = tuple[float, float, float, float]

def parse_layout(
    data: bytes, /
) -> tuple[str, int, int, dict[str, Any], list[str], list[_Coordinates], list[Mapping[str, Any]] | None] | None: ...
def coco_rows(
    text: bytes, at: int, base: int, kinds: dict[bytes, int], new_kind: Callable[[bytes], int], /
) -> tuple[int, bytes, bytes, bytes, bytes, bytes, bytes, bytes]: ...
