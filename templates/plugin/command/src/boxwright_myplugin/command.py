"""Counts images. The help page of the program imports this module: import large libraries in the function."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    uri: Annotated[str, typer.Argument(metavar="URI", help="The dataset: FORMAT:LOCATION, or LOCATION alone.")],
    empty: Annotated[bool, typer.Option("--empty", help="Also list the images without boxes.")] = False,
) -> None:
    """Count the images of a dataset, and those without boxes.

    Example:
      boxwright myplugin labelimg:photos --empty
    """
    import boxwright

    without: list[str] = []
    number = 0
    for sample in boxwright.open(uri):
        number += 1
        if not sample.boxes:
            without.append(sample.image.name)
    typer.echo(f"{number} images, {len(without)} without boxes")
    for name in without if empty else ():
        typer.echo(name)
