"""The folder of an export: its manifest with digests, an image with its detections, and what uses it without boxwright.

::

    FOLDER/
        artifact.json     the manifest: exporter, precision, run, check, and the digest of every file
        label_map.pbtxt   the classes
        golden.png        an image, and in golden.json the detections in it
        README.md         a description
        detect.py         detects objects with the runtime of the model, numpy and Pillow
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boxwright._version import __version__
from boxwright.images.decode import decode_sample
from boxwright.models.causes import sample_of
from boxwright.models.manifest import LAYOUT, RECORD
from boxwright.models.network import INPUT, LABEL_MAP, LABELS, NetworkExporter, read_settings
from boxwright.models.parity import Pair, Parity, lowest_score, predictions
from boxwright.models.protocols import Exporter, Model
from boxwright.models.run import Run, versions
from boxwright.models.tuned import DECODER, decoder_of
from boxwright.models.weights import digest_of, find_all_weights
from boxwright.plugins.registry import Registry
from boxwright.schemas import Detections

GOLDEN = "golden.png"
GOLDEN_DETECTIONS = "golden.json"
_GOLDEN_SIDE = 640
AROUND = {
    LABELS: "the classes; line 1 is class 0 of the model",
    LABEL_MAP: "the classes for boxwright and the TensorFlow Object Detection API, which counts from 1",
    INPUT: "how an image becomes the input, as `detect.py` does it",
    DECODER: "how detections are chosen: the settings of the non-maximum suppression",
    GOLDEN: "an image",
    GOLDEN_DETECTIONS: "the detections in it, with at least its `score`",
    "README.md": "this description",
    "detect.py": "detects objects without boxwright",
    RECORD: "the manifest: where the model is from, how it was checked, and the digest of every file",
}


def write_golden(folder: Path, pairs: Sequence[Pair], model: Model) -> None:
    """Writes an image of the check with the detections of an artifact, for tests on the device.

    They have at least the score of the artifact's decoder, or a lower one if only few detections have that.
    """
    decoder = decoder_of(model)
    if not isinstance(decoder.score, tuple):
        decoder = replace(decoder, score=round(min(decoder.score, lowest_score(pair.expected for pair in pairs)), 4))
    best = max(pairs, key=lambda pair: len(decoder.shown(pair.expected, model.label_map).boxes))
    image = decode_sample(best.sample.replace(boxes=())).image
    image.thumbnail((_GOLDEN_SIDE, _GOLDEN_SIDE))
    image.save(folder / GOLDEN)
    (found,) = predictions(model, [sample_of(image)])
    shown = decoder.shown(found, model.label_map)
    content = {"image": GOLDEN, "score": decoder.score, "detections": _plain(shown)}
    (folder / GOLDEN_DETECTIONS).write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _plain(found: Detections) -> list[dict[str, Any]]:
    return [
        {"label": label, "score": round(score, 4), "box": [round(edge, 2) for edge in edges]}
        for label, score, edges in zip(found.boxes.labels, found.scores, found.boxes.coordinates, strict=True)
    ]


def write_description(
    folder: Path,
    exporter: Exporter,
    artifact: Path,
    *,
    name: str,
    precision: str,
    run: Run,
    parity: Parity,
    calibration: dict[str, Any] | None,
    plugins: Registry,
) -> None:
    """Writes ``detect.py``, ``README.md`` and the manifest.

    Args:
        folder: The folder of the artifact, in which everything else is complete.
        exporter: The exporter; a :class:`NetworkExporter` gets a ``detect.py``.
        artifact: The model in the folder.
        name: The name of the exporter.
        precision: The precision; empty if the exporter has none.
        run: The run.
        parity: The comparison with the run.
        calibration: The description of the images that it was calibrated with.
        plugins: The plugins in use.
    """
    packages = ""
    if isinstance(exporter, NetworkExporter):
        packages = " ".join(sorted({*exporter.packages, "numpy", "pillow"}))
        _, inputs, decoder = read_settings(folder)
        script = _render(
            "detect.py.jinja",
            packages=packages.replace(" ", ", "),
            runtime="\n".join(map(_source, [*exporter.sources, exporter.load_network])),
            suppresses=exporter.suppresses,
            prepares=exporter.prepares,
            again=not exporter.sources,
            resize=inputs.resize,
            clips_first=decoder.clips_first,
            model=artifact.relative_to(folder).as_posix(),
        )
        (folder / "detect.py").write_text(script, "utf-8")
    license_note = _license(run, plugins)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    readme = _render(
        "README.md.jinja",
        title=run.path.name,
        version=__version__,
        target=f"{name}:{precision}".rstrip(":"),
        classes=", ".join(f"`{each}`" for each in run.label_map.names),
        packages=packages,
        files=[(each, AROUND.get(each, "the model")) for each in [*names, RECORD]],
        check=_check(parity, calibration),
        license=license_note,
    )
    (folder / "README.md").write_text(readme, "utf-8")
    files = {
        each: {"bytes": (folder / each).stat().st_size, "sha256": digest_of(folder / each)}
        for each in sorted({*names, "README.md"})
    }
    inputs = run.state["inputs"].get("data", {})
    manifest = {
        "boxwright_artifact": LAYOUT,
        "exporter": name,
        "artifact": artifact.relative_to(folder).as_posix(),
        "precision": precision or None,
        "backend": run.backend,
        "run": str(run.path),
        "data": {"uri": run.config.get("data"), "digest": inputs.get("digest")},
        "calibration": calibration,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "license": license_note,
        "check": parity.to_dict(),
        "files": files,
    }
    (folder / RECORD).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _source(function: Callable[..., Any]) -> str:
    """Returns the code of a function, without decorator, blank lines and a docstring of one line."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith(('"""', "@")))


def _render(template: str, **values: object) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - the results are not HTML
        loader=PackageLoader("boxwright.models"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def _check(parity: Parity, calibration: dict[str, Any] | None) -> str:
    lines = [f"Compared with the run on {parity.images} images: {parity.matched:.1%} of the detections are the same."]
    if parity.ap is not None:
        lines.append(f"AP {parity.ap[1]:.4f}, of the run {parity.ap[0]:.4f}.")
    if calibration is not None:
        lines.append(f"Calibrated with {calibration['pictures']} images of `{calibration['data']}`.")
    if parity.unchecked:
        lines.append(f"**Not checked**: {parity.unchecked}.")
    if parity.problems:
        lines += ["**Rejected**:", parity.describe()]
    return "\n".join(lines)


def _license(run: Run, plugins: Registry) -> str:
    """Returns a note on the licenses of the pretrained weights and of the data."""
    preset = str(run.config.get("preset"))
    notes = [
        f"Training started from the weights `{each.name}` ({each.spec.homepage}), license"
        f" {each.spec.license or 'unknown'}, trained on {each.spec.trained_on or 'unknown data'}."
        for each in find_all_weights(plugins).values()
        if run.backend in each.specs and preset in each.specs[run.backend].presets
    ]
    return " ".join([*notes, "The license of the training data may restrict the use of the model."])
