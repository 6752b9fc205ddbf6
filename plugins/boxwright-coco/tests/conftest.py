from __future__ import annotations

import pytest

from boxwright_coco import annotations as annotations_module


@pytest.fixture(params=["compiled", "Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with the compiled function and with its fallback, also in the processes that it starts."""
    if request.param == "Python":
        monkeypatch.setattr(annotations_module, "_compiled", None)
        monkeypatch.setenv("BOXWRIGHT_SPEEDUPS", "0")
    elif annotations_module._compiled is None:
        pytest.skip("boxwright-speedups is not installed, or was built without a C compiler")
