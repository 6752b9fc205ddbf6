"""A trained network as exporters take it, and the settings around it in the folder of an export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from boxwright.errors import BoxwrightError, DataError, ExportError, RunError, UsageError
from boxwright.images.decode import decode_sample
from boxwright.label_map import LabelMap, read_label_map
from boxwright.models.decoder import EVERYTHING, DecoderSettings, Floats, Found
from boxwright.models.parity import Limits
from boxwright.models.portable import InputSettings, PortableModel, Reduced, ServedModel, Suppressed
from boxwright.models.protocols import Model
from boxwright.models.run import Run
from boxwright.models.tuned import DECODER, ChosenModel, read_tuning
from boxwright.plugins.registry import default_registry
from boxwright.schemas import Sample

LABEL_MAP = "label_map.pbtxt"
LABELS = "labels.txt"
INPUT = "preprocess.json"
_MOST_LETTERS = 500


@dataclass(frozen=True)
class Network:
    """A trained network without the code that trained it.

    Attributes:
        saved_model: A folder with a TensorFlow SavedModel. Its signature ``serving_default`` takes ``images``
            ``(batch, height, width, 3)`` float32, 0 to 255, of the size of ``inputs``, and returns ``boxes``
            ``(batch, N, 4)`` float32, ``xyxy`` in pixels of the input, and ``scores`` ``(batch, N, classes)`` float32,
            0 to 1, both before suppression.
        inputs: How an image becomes the input.
        decoder: How detections are chosen.
        label_map: The classes, in the order of the scores.
    """

    saved_model: Path
    inputs: InputSettings
    decoder: DecoderSettings
    label_map: LabelMap


@runtime_checkable
class NetworkBackend(Protocol):
    """A :class:`~boxwright.models.Backend` that offers its networks to every exporter."""

    def write_network(self, run: Run, folder: Path) -> Network:
        """Writes the network of a run into an empty folder, and returns it."""
        ...


class NetworkExporter:
    """Base of the exporters that convert the network of any backend.

    A complete exporter::

        import json

        from boxwright.models import NetworkExporter


        class NumpyExporter(NetworkExporter):
            model = "model.npz"

            def convert(self, network, folder, precision):
                save_as_numpy(network.saved_model, folder / self.model)

            @staticmethod
            def load_network(path):
                weights = np.load(path)
                return lambda images: (images @ weights["boxes"], images @ weights["scores"])

    :func:`boxwright.export` writes a ``detect.py`` into the artifact, with the source of ``load_network``.
    """

    model: ClassVar[str]
    """The name of the file, or folder, that ``load_network`` reads."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The distributions that ``load_network`` needs, in addition to numpy."""
    suppresses: ClassVar[bool] = False
    """Whether the converted network contains the suppression."""
    prepares: ClassVar[bool] = False
    """Whether the converted network also contains the preprocessing."""
    limits: ClassVar[Mapping[str, Limits]] = {}
    """By precision, how far an artifact may be from its run, where that is not as for every other target."""
    sources: ClassVar[tuple[Callable[..., Any], ...]] = ()
    """The functions that ``load_network`` uses, for ``detect.py``, in which they replace the suppression."""
    calibration: Sequence[Sample] = ()
    """The images to calibrate with, set by :func:`boxwright.export`."""
    unchecked: str = ""
    """What the model of the last ``load`` leaves out of the artifact: a comparison with it does not cover this."""

    def convert(self, network: Network, folder: Path, precision: str) -> None:
        """Writes a network into the folder of an artifact.

        Args:
            network: The network.
            folder: The folder, which is empty.
            precision: One of the precisions of the spec; the first one by default.
        """
        raise NotImplementedError

    def calibration_images(self, network: Network) -> Iterator[Floats]:
        """Yields the inputs to calibrate with, each ``(1, height, width, 3)`` float32.

        Raises:
            DataError: None of the images can be read.
        """
        problem: DataError | None = None
        count = 0
        for sample in self.calibration:
            try:
                decoded = decode_sample(sample.replace(boxes=()), at_least=network.inputs.reduced_size)
            except DataError as error:
                problem = error
                continue
            count += 1
            yield network.inputs(decoded.image)[None]
        if problem is not None and not count:
            raise problem

    @staticmethod
    def load_network(path: str) -> Any:
        """Loads a converted network, without boxwright: the source of this method becomes part of ``detect.py``.

        It imports what it needs, except ``np``, ``os``, ``Path`` and ``Any``. Its docstring fits on one line.

        Returns:
            A function from images ``(1, height, width, 3)`` float32, 0 to 255, to boxes ``(1, N, 4)``, ``xyxy`` in
            pixels of the input, and scores ``(1, N, classes)``, 0 to 1, both float32. With ``suppresses``, to the
            detections: boxes ``(D, 4)``, scores ``(D,)``, and classes ``(D,)`` from 0, in any order. With ``prepares``,
            the function takes the content of a JPEG or PNG file, ``bytes``, and returns the detections with boxes in
            pixels of the upright image; it raises a ``ValueError`` if the file is damaged.
        """
        raise NotImplementedError

    def opened(self, artifact: Path, **options: Any) -> Any:
        """Returns what ``load_network`` returns; an exporter for another computer returns a simulation of it."""
        return self.load_network(str(artifact), **options)

    def export(self, run: Run, out: Path, precision: str = "") -> Path:
        """Converts the network of a run.

        Raises:
            UsageError: The backend of the run does not offer its networks, the target does not support this one, or
                the decoder is box fusion.
            ExportError: The conversion failed, for example because of an operation that the target does not support.
            RunError: The run has no model yet.
        """
        with open_network(run) as network:
            if network.decoder.suppression == "fusion":
                raise UsageError(
                    f"exports do not support the box fusion that {run.path} was tuned to",
                    "tune it again with --suppression class,all,soft",
                )
            try:
                self.convert(network, out, precision)
            except (BoxwrightError, ImportError, OSError):
                raise
            except Exception as error:  # the exceptions of converters have no common class
                reason = " ".join(str(error).split())[:_MOST_LETTERS] or type(error).__name__
                raise ExportError(
                    f"the network of {run.path} cannot be converted to {self.model}: {reason}",
                    "use another exporter, or a network without this operation",
                ) from error
            write_settings(network, out)
        return out / self.model

    def load(self, artifact: Path, device: str = "") -> Model:
        """Loads an artifact in its runtime.

        Args:
            artifact: The model in its folder.
            device: One of the devices of the spec, which ``load_network`` then takes; by default its own.

        Raises:
            DataError: A file is missing or damaged.
            RunError: The runtime cannot run the model.
        """
        if artifact.name != self.model or not artifact.exists():
            raise DataError(artifact, f"it is not the {self.model} of an artifact", "pass the folder of an artifact")
        label_map, inputs, decoder = read_settings(artifact.parent)
        try:
            network = self.opened(artifact, **({"device": device} if device else {}))
        except BoxwrightError:
            raise
        except Exception as error:  # the exceptions of runtimes have no common class
            raise RunError(f"{artifact} cannot be run: {error}", "export the model again") from error
        if self.prepares:
            served = ServedModel(label_map, lambda content: Found(*network(content)))
            return ChosenModel(served, replace(EVERYTHING, score=decoder.score))
        if not self.suppresses:
            return PortableModel(label_map, inputs, Suppressed(network, inputs, decoder))

        shown = replace(EVERYTHING, score=decoder.score, max_detections=decoder.max_detections)
        return PortableModel(label_map, inputs, Reduced(lambda images: Found(*network(images)), shown))


class Settings(NamedTuple):
    """What surrounds the network of an export."""

    label_map: LabelMap
    inputs: InputSettings
    decoder: DecoderSettings


@contextmanager
def open_network(run: Run) -> Iterator[Network]:
    """Opens the network of a run, in a temporary folder.

    Raises:
        UsageError: The backend of the run does not offer its networks.
        RunError: The run has no model yet.
    """
    backend: Any = default_registry().resolve("backend", run.backend)()
    if not isinstance(backend, NetworkBackend):
        raise UsageError(
            f"the backend {run.backend} of {run.path} does not offer its networks to exporters",
            "see `boxwright plugins list exporter` for exporters of that backend",
        )
    with TemporaryDirectory() as folder:
        network: Network = backend.write_network(run, Path(folder))
        tuned = read_tuning(run.path)
        yield network if tuned is None else replace(network, decoder=tuned)


def write_settings(network: Network, folder: Path) -> None:
    """Writes the classes and the settings around a network into the folder of an export."""
    (folder / LABEL_MAP).write_text(network.label_map.to_pbtxt(), "utf-8")
    (folder / LABELS).write_text("".join(f"{name}\n" for name in network.label_map.names), "utf-8")
    for name, settings in ((INPUT, network.inputs), (DECODER, network.decoder)):
        (folder / name).write_text(json.dumps(settings.to_dict(), indent=2) + "\n", "utf-8")


def read_settings(folder: Path) -> Settings:
    """Returns what :func:`write_settings` wrote.

    Raises:
        DataError: A file is missing or damaged.
    """
    label_map = read_label_map(str(folder / LABEL_MAP))
    if label_map is None:
        raise DataError(folder / LABEL_MAP, "file not found", "export the model again")
    inputs, decoder = (
        _read(folder / name, kind) for name, kind in ((INPUT, InputSettings), (DECODER, DecoderSettings))
    )
    return Settings(label_map, inputs, decoder)


def _read(path: Path, kind: Any) -> Any:
    try:
        return kind(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(path, f"it cannot be read: {error}", "export the model again") from None
