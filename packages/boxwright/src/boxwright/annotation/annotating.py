"""Opens a session with an annotator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from boxwright.annotation.proposals import Proposals
from boxwright.annotation.protocols import Annotator
from boxwright.annotation.session import AnnotationSession
from boxwright.errors import MissingLibraryError, RunError
from boxwright.models.cross_validated import CrossValidated, runs_in
from boxwright.models.protocols import Model
from boxwright.models.run import Run
from boxwright.plugins.options import convert_options
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.storage.uri import DatasetURI

_INSTALL = "python -m pip install boxwright-annotate"


def annotate(
    uri: str | DatasetURI,
    *,
    to: str | DatasetURI = "",
    classes: Sequence[str] = (),
    model: str | Path | Run | Model | None = None,
    annotator: str = "page",
    options: Mapping[str, Any] | None = None,
    next_step: str = "",
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> int:
    """Lets a person edit the boxes of a dataset, and returns when the person has finished.

    Args:
        uri: The dataset, or a folder of images without annotations, which get XML as labelImg writes it.
        to: A copy to annotate instead, which is made unless it exists.
        classes: More classes than those of the dataset.
        model: A run, its folder, an exported model, or a loaded one, which proposes boxes; or a folder of runs, of
            which the first that was not trained on an image proposes its boxes.
        annotator: The plugin.
        options: Its options.
        next_step: What follows after it, in one word for a button; empty for nothing.
        reporter: Where progress and messages go.
        registry: The plugins to use, instead of the installed ones.

    Returns:
        The number of images with edits that were not saved, with which the next session continues.

    Raises:
        UsageError: The format cannot be read and written, or an option is wrong.
        DataError: The dataset cannot be read, or is being annotated already.
        PluginError: The annotator is not installed.
        RunError: The model is missing.
    """
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    if annotator == "page" and annotator not in plugins.names("annotator"):
        raise MissingLibraryError("the page to annotate with is not installed", f"run: {_INSTALL}")
    spec = plugins.get("annotator", annotator).spec
    make = plugins.resolve("annotator", annotator)
    given = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in (options or {}).items()
    }
    page: Annotator = make(**convert_options(given, spec.options, annotator))
    with ExitStack() as stack:
        session = stack.enter_context(
            AnnotationSession(uri, to=to, classes=classes, reporter=reporter, registry=plugins)
        )
        session.next_step = next_step
        if model is not None:
            if isinstance(model, str | Path) and not Path(model).exists():
                raise RunError(f"{model}: there is nothing at this path", "pass a run folder or an exported model")
            if isinstance(model, str | Path) and runs_in(model):
                model = CrossValidated(model, plugins)
            session.proposals = Proposals(model, session.samples, plugins)
            stack.callback(session.proposals.stop)
            session.proposals.start()
        page.annotate(session, reporter)
        return len(session.unsaved)
