"""The conformance tests of the loader; imported only by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from boxwright_testing import Loaded, LoaderTests


class TestTorch(LoaderTests):
    """``dataset.to_torch()``."""

    loader: ClassVar[str] = "torch"
    options: ClassVar[Mapping[str, str]] = {"dtype": "uint8"}

    def examples(self, loaded: Any) -> Iterable[Loaded]:
        """Yields images with the channels last, as files have them."""
        for image, target in loaded:
            yield Loaded(image.permute(1, 2, 0), target["boxes"], target["labels"])
