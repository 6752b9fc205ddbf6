from __future__ import annotations

from pathlib import Path

import pytest
from boxwright import RunError

from boxwright_myplugin.conformance import TestConformance as TestConformance
from boxwright_myplugin.exporter import MyPluginExporter


@pytest.mark.parametrize("content", ["", "[]", "{", '{"classes": ["a"]}', '{"classes": ["a"], "boxes": {"a": [1, 2]}}'])
def test_a_damaged_artifact_is_rejected(tmp_path: Path, content: str) -> None:
    artifact = tmp_path / "model.json"
    artifact.write_text(content, "utf-8")
    with pytest.raises(RunError, match=r"model\.json is not a myplugin model"):
        MyPluginExporter().load(artifact)
