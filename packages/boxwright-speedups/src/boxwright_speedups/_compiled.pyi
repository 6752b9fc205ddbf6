from collections.abc import Mapping
from typing import Any

_Coordinates = tuple[float, float, float, float]

def parse_layout(
    data: bytes, /
) -> tuple[str, int, int, dict[str, Any], list[str], list[_Coordinates], list[Mapping[str, Any]] | None] | None: ...
