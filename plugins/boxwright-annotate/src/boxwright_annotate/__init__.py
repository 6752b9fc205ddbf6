"""The annotator ``page`` for boxwright: a page in the browser."""

from boxwright import AnnotatorSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_annotate.conformance"


@hookimpl
def boxwright_annotators() -> list[AnnotatorSpec]:
    """Returns the annotator ``page``."""
    return [
        AnnotatorSpec(
            name="page",
            summary="A page in the browser, which only this computer can open",
            load="boxwright_annotate.annotator:PageAnnotator",
            options=(
                Option("port", int, 0, "the port of the page; 0 for any free one", ge=0, le=65535),
                Option("browser", bool, True, "whether to open the page in the browser"),
            ),
            requires=("starlette", "uvicorn"),
            install="python -m pip install boxwright-annotate",
        )
    ]
