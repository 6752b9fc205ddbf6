"""The plugin skeleton of ``boxwright plugins new``: a working package of each kind, to be given another name.

The sources are in ``templates/plugin`` of boxwright's repository, and inside this package if it was installed from a
wheel. ``common`` contains what all kinds share, and a folder for each kind the rest; a ``README.md`` is that of the
kind, with the common one behind it. What is to be renamed stands for itself there, so that each is a plugin that can
be installed and tested unchanged: ``boxwright-myplugin``, ``boxwright_myplugin``, ``MyPluginReader``, ``to_myplugin``,
``photos.myplugin`` and ``myplugin`` itself.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxwright import UsageError
from boxwright.plugins import KINDS

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST = 24
"""Letters of a name: longer ones would break lines of the skeleton."""

_README = "README.md"


@dataclass(frozen=True)
class Names:
    """What a plugin is called, in each place where it has a name.

    Args:
        plugin: As users type it: ``my-format``.
    """

    plugin: str

    @classmethod
    def of(cls, name: str) -> Names:
        """The names for what somebody typed; a leading ``boxwright-`` is left out.

        Raises:
            UsageError: Nothing can be called so.
        """
        plugin = name.removeprefix("boxwright-").removeprefix("boxwright_")
        if not _NAME.fullmatch(plugin) or not 2 <= len(plugin) <= _LONGEST:
            raise UsageError(
                f"a plugin cannot be called {name!r}",
                f"give 2 to {_LONGEST} of the letters a-z and 0-9, a letter first, with - or _ between words",
            )
        if keyword.iskeyword(plugin) or keyword.issoftkeyword(plugin) or plugin in KINDS:
            what = "a kind of plugin" if plugin in KINDS else "a word of Python"
            raise UsageError(f"{plugin!r} is {what}", f"choose another name, such as my-{plugin}")
        return cls(plugin)

    @property
    def distribution(self) -> str:
        """What is installed: ``boxwright-my-format``."""
        return f"boxwright-{self.plugin.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What is imported: ``boxwright_my_format``."""
        return f"boxwright_{self.identifier}"

    @property
    def identifier(self) -> str:
        """The name inside other names: ``my_format``."""
        return self.plugin.replace("-", "_")

    @property
    def prefix(self) -> str:
        """How its classes begin: ``MyFormat``."""
        return "".join(word[0].upper() + word[1:] for word in re.split("[-_]", self.plugin))

    @property
    def suffix(self) -> str:
        """The file ending of a format: ``.myformat``."""
        return "." + re.sub("[-_]", "", self.plugin)

    def put_into(self, text: str, kind: str) -> str:
        """The text with all its placeholders filled in."""
        for placeholder, name in (
            (r"boxwright-myplugin", self.distribution),
            (r"boxwright_myplugin", self.package),
            (r"(?<=test_)myplugin|(?<=to_)myplugin", self.identifier),
            (r"(?<=[\w}\\ \"])\.myplugin", self.suffix),
            (r"MyPlugin", self.prefix),
            (r"myplugin", self.plugin),
            (r"\bmykind\b", kind),
        ):
            text = re.sub(placeholder, lambda _, name=name: name, text)  # type: ignore[misc]
        return text


def template_folder() -> Path:
    """Where the skeletons are: in this package, or in the repository that it is installed from.

    Raises:
        FileNotFoundError: In neither.
    """
    here = Path(__file__).resolve()
    candidates = [here.parent / "skeletons", *(parent / "templates" / "plugin" for parent in here.parents[3:5])]
    for folder in candidates:
        if (folder / "common").is_dir():
            return folder
    raise FileNotFoundError(f"there is no plugin template in {' or '.join(map(str, candidates))}")


def render(names: Names, kind: str) -> Iterator[tuple[str, str]]:
    """Yields each file of a new plugin package: its path, with ``/``, and its text.

    Raises:
        UsageError: The kind is unknown, or the name is invalid for it.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no kind of plugin called {kind!r}", f"the kinds are: {', '.join(KINDS)}")
    if kind == "loader" and names.plugin != names.identifier:
        problem = f"a loader is a method, dataset.to_NAME(), and cannot be called {names.plugin!r}"
        raise UsageError(problem, f"choose another name, such as {names.identifier}")
    files: dict[str, str] = {}
    for part in ("common", kind):
        folder = template_folder() / part
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not {"__pycache__", ".ruff_cache", ".mypy_cache"}.intersection(path.parts):
                name, text = path.relative_to(folder).as_posix(), path.read_text("utf-8")
                files[name] = text + files.get(name, "") if name == _README else text
    for name, text in sorted(files.items()):
        yield names.put_into(name, kind), names.put_into(text, kind)
