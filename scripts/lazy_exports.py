"""An extension of Griffe, which reads the sources for the reference: what a lazy package exports.

The packages import their names on first use, as their ``__init__.pyi`` lists them. Griffe cannot read ``__all__``
there, and of a function and a module with the same name it keeps the module.
"""

from __future__ import annotations

import ast
from typing import Any

import griffe


class LazyExports(griffe.Extension):
    """Takes the names in the stub of a package as the names that it exports."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called when all modules of a distribution have been read."""
        exported = []
        for package in (pkg, *(each for each in pkg.modules.values() if each.is_init_module)):
            stub = package.filepath.with_suffix(".pyi")
            if not stub.is_file():
                continue
            for node in ast.parse(stub.read_text("utf-8")).body:
                if isinstance(node, ast.ImportFrom):
                    exported += [
                        (package, name.asname or name.name, package[f"{node.module}.{name.name}"])
                        for name in node.names
                    ]
        for package, name, target in exported:
            package.set_member(name, griffe.Alias(name, target, parent=package))
            package.exports = [*(package.exports or ()), name]
