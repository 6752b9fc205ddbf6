"""Registers plugins at run time: a format of a notebook, without a package."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from boxwright.errors import UsageError
from boxwright.plugins.checks import wrong_field
from boxwright.plugins.hookspecs import hookimpl
from boxwright.plugins.manager import PluginRecord
from boxwright.plugins.registry import Registry, default_registry
from boxwright.plugins.specs import FormatSpec

_ROLES = {"load": "reader", "write": "writer", "detect": "detect"}


def register_format(
    name: str,
    *,
    reader: Callable[..., Any] | None = None,
    writer: Callable[..., Any] | None = None,
    detect: Callable[[str], Any] | None = None,
    registry: Registry | None = None,
    **spec: Any,
) -> FormatSpec:
    """Makes a format known in this process, without a package; the same name again replaces it.

    Args:
        name: The part before the colon of a dataset URI.
        reader: As ``FormatSpec.load``: called with the location and the options; see
            :class:`boxwright.datasets.Reader`.
        writer: As ``FormatSpec.write``: called with the output, the label map and the options; see
            :class:`boxwright.datasets.Writer`.
        detect: As ``FormatSpec.detect``: called with a location, returns a :class:`boxwright.Detection`.
        registry: The plugins to add it to, instead of the installed ones.
        **spec: Other fields of :class:`boxwright.FormatSpec`: ``suffixes=(".lines",)``.

    Returns:
        The spec.

    Raises:
        UsageError: There is neither a reader nor a writer, a field is unknown, or the name is that of a plugin.
        PluginError: Only under ``BOXWRIGHT_STRICT=1``: the spec is invalid.
    """
    if reader is None and writer is None:
        raise UsageError(f"the format {name!r} has neither a reader nor a writer", "pass reader=, writer= or both")
    plugins = (registry or default_registry()).plugins
    module = types.ModuleType(f"boxwright_registered_{name.replace('-', '_')}")
    objects = {"reader": reader, "writer": writer, "detect": detect}
    named: dict[str, Any] = {
        field: f"{module.__name__}:{role}" for field, role in _ROLES.items() if objects[role] is not None
    }
    try:
        made = FormatSpec(name=name, **named, **spec)
    except TypeError as error:
        raise UsageError(f"the format {name!r}: {error}", "see boxwright.FormatSpec") from None
    if problem := wrong_field(made):  # checked before an earlier format of this name is removed
        raise UsageError(f"the format {name!r}: {problem}", "see boxwright.FormatSpec")
    others = [record for record in plugins.records if ("format", name) in ((k, each.name) for k, each in record.specs)]
    if any(record.module != module.__name__ for record in others):
        raise UsageError(f"the format {name!r} is that of the plugin {others[0].distribution}", "use another name")
    for record in others:
        plugins.records.remove(record)
        plugins.manager.unregister(name=record.registered_name)
    vars(module).update(objects, boxwright_formats=hookimpl(lambda: [made]))
    sys.modules[module.__name__] = module
    record = PluginRecord(f"{name}", "this process", "", module.__name__)
    plugins.register(module, record)
    if record.status != "ok":
        plugins.records.remove(record)
        raise UsageError(f"the format {name!r}: {record.cause}", "see boxwright.FormatSpec")
    return made
