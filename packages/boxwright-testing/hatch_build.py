"""Puts the plugin skeletons of the repository into what is built, from where `boxwright plugins new` takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TemplateHook(BuildHookInterface):  # type: ignore[type-arg]
    """Takes ``templates/plugin`` along; a wheel that is built from an sdist finds it there in its place already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; an editable install reads the repository itself."""
        source = Path(self.root).parents[1] / "templates" / "plugin"
        if version != "editable" and source.is_dir():
            inside = "src/boxwright_testing" if self.target_name == "sdist" else "boxwright_testing"
            for path in source.rglob("*"):
                if path.is_file() and not any(part.endswith(("_cache", "__pycache__")) for part in path.parts):
                    build_data["force_include"][str(path)] = f"{inside}/skeletons/{path.relative_to(source).as_posix()}"
