"""Specs: what a plugin says of itself, so that nothing heavy is imported until it is used.

A hook returns a list of specs. A spec names its object as ``"package.module:attribute"``; the registry imports it when
somebody asks for it. Specs are frozen dataclasses: making one imports nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from boxwright.environments.spec import EnvironmentSpec
from boxwright.plugins.options import Option

API_VERSION = 1
"""The plugin API that this version of boxwright supports."""


@dataclass(frozen=True)
class Spec:
    """What every kind of plugin says.

    Args:
        name: What the user types, lower case.
        summary: One line for lists.
        load: ``"package.module:attribute"`` of the object that does the work.
        options: The settings it takes.
        requires: Import names that must be there before it can be used, such as ``("tensorflow",)``.
        install: The command that brings what it requires, word for word.
        environment: The separate environment in which it works, or a part of it.
    """

    name: str
    summary: str = ""
    load: str = ""
    options: tuple[Option, ...] = ()
    requires: tuple[str, ...] = ()
    install: str = ""
    environment: EnvironmentSpec | None = None


@dataclass(frozen=True)
class FormatSpec(Spec):
    """A dataset format: a reader, a writer, or both. See :class:`boxwright.datasets.Reader`.

    Args:
        load: The reader, a callable ``(location, **options) -> Reader``; empty if the format cannot be read.
        write: The writer, a callable ``(output, label_map, **options) -> Writer``; empty if it cannot be written.
        write_options: The settings of the writer; ``options`` are the reader's.
        detect: A callable ``(location) -> Detection`` that tells whether a location looks like this format.
        carries: What a written dataset contains beyond file name, size, labels and whole-pixel coordinates:
            ``"images"`` (the images themselves), ``"empty"`` (images without boxes), ``"subpixel"`` (fractional
            edges), ``"split"``, and attributes as ``"box.NAME"``, ``"image.NAME"``, ``"dataset.NAME"``, ``"box.*"``,
            ``"image.*"``, ``"dataset.*"``; ``"-box.NAME"`` and the like for one that ``"*"`` does not take in. That is
            for a dataset that is written without options; what an option changes is declared by :attr:`Option.carries`.
        adds: Attributes that every written dataset has and reading brings back, whether the source had them or not:
            ``"image.sha256"``, ``"box.area"``.
        target: ``"file"`` or ``"folder"``: what a written dataset is.
        numbered: Whether its files hold class numbers, so that the writer needs the label map before the first sample.
            ``"late"`` for a writer that takes one where it is known and else numbers the classes itself when all have
            come, in the order of their names: it saves a reading. Where that depends on its options, the writer has a
            static method ``needs_label_map(**options)``.
        true_size: Whether its boxes are correct only with the true size of each image, because coordinates are relative
            to it or it is not stored. boxwright then compares the annotated size with the image before it is written.
        max_bad: For a format that is written for training: the limit of items that a conversion to it leaves out unless
            set otherwise, such as ``"1%"``.
        bridge: The other program that reads and writes the format, a dataset completely or not at all; reports say so.
        split_folders: For a ``"folder"`` format that has no splits itself: whether the folders ``train``, ``valid`` and
            ``test`` in a folder are the splits of one dataset.
        label_map_file: The name of the label map file next to a written dataset; empty for none.
        suffixes: File endings that belong to it, for messages and detection: ``(".csv",)``.
        files: For a ``"folder"`` format whose label files are not next to the images: the object that names them, see
            :class:`boxwright.annotation.AnnotationFiles`.
        docs: Where the format is defined.
    """

    write: str = ""
    write_options: tuple[Option, ...] = ()
    detect: str = ""
    carries: frozenset[str] = frozenset()
    adds: frozenset[str] = frozenset()
    target: str = "file"
    numbered: bool | Literal["late"] = False
    true_size: bool = False
    max_bad: str = ""
    bridge: str = ""
    split_folders: bool = False
    label_map_file: str = ""
    suffixes: tuple[str, ...] = ()
    files: str = ""
    docs: str = ""

    def written_with(self, options: Mapping[str, Any]) -> Self:
        """This spec with ``carries`` as it is for a dataset that is written with these options.

        Args:
            options: The writer's options that are not left to their defaults, converted to their types.
        """
        carries = self.carries
        for option in self.write_options:
            if option.carries and option.name in options:
                value = options[option.name]
                text = str(value).lower() if isinstance(value, bool) else str(value)
                carries = _changed(carries, option.carries.get(text, ""))
        return self if carries is self.carries else replace(self, carries=carries)


class _AllBut(frozenset[str]):
    """Every name except these; it is empty if it contains every name."""

    def __contains__(self, name: object) -> bool:
        return not super().__contains__(name)


def carried(prefix: str, carries: frozenset[str]) -> frozenset[str]:
    """What ``in`` answers for an attribute of boxes (``"box."``), images (``"image."``) or the dataset, by its name."""
    if f"{prefix}*" in carries:
        return _AllBut(name.removeprefix(f"-{prefix}") for name in carries if name.startswith(f"-{prefix}"))
    return frozenset(name.removeprefix(prefix) for name in carries if name.startswith(prefix))


def _changed(carries: frozenset[str], changes: str) -> frozenset[str]:
    for change in changes.split():
        sign, name = change[0], change[1:]
        if sign == "+":
            carries = carries - {f"-{name}"} | {name}
        else:
            carries = carries - {name}
            if f"{name.partition('.')[0]}.*" in carries:
                carries |= {f"-{name}"}
    return carries


@dataclass(frozen=True)
class TransformSpec(Spec):
    """A step of ``boxwright convert --with``. See :class:`boxwright.datasets.Transform`.

    Args:
        positional: The option that a bare value sets: ``resize:800x600`` is ``resize:size=800x600``; with
            ``keyed=True`` the option takes all ``key=value`` pairs that are not options (``split:train=0.8,test=0.2``).
        keyed: Whether unknown ``key=value`` pairs are collected, in order, into ``positional`` as a dict of strings.
        reading: Options with which the source is read for this step, where its format has them and the user says
            nothing else: ``{"inverted": "swap"}``.
    """

    positional: str = ""
    keyed: bool = False
    reading: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AugmenterSpec(Spec):
    """A random change of training images and their boxes. See :class:`boxwright.models.ArrayAugmenter`.

    Args:
        backends: The backends that can use it; empty for all.
        positional: The option that a value without a name sets: ``keras:RandomShear`` is ``keras:layer=RandomShear``.
        arguments: The option that receives all ``key=value`` pairs that are not options, as a dict of strings; empty
            if there are no others.
    """

    backends: tuple[str, ...] = ()
    positional: str = ""
    arguments: str = ""


@dataclass(frozen=True)
class WeightsSpec:
    """Pretrained weights that a backend can start from, for ``boxwright weights``.

    Two backends may declare the same name for what each of them makes of one file; ``file`` and ``sha256`` are then
    equal.

    Args:
        name: What the user types, lower case.
        summary: One line for lists.
        origin: ``"package"`` for a file of an installed Python package, ``"import"`` for a file in an archive that
            ``boxwright weights import`` reads, ``"download"`` if the backend downloads them when a training starts.
        presets: The presets of the backend that start from them.
        required: Whether these presets cannot be used without them.
        trained_on: The data.
        license: The SPDX identifier of the license; empty if it is unknown.
        homepage: The page that describes them.
        size: Bytes of the file; 0 if it is unknown.
        sha256: The digest of the file; empty only for a download.
        file: For a package ``"package:path"``, for an archive the path in it.
        install: For a package, the command that installs it, word for word.
        npm: For an archive that npm can download, the package and its version: ``"@scope/name@1.2.3"``.
        convert: For an archive, ``"package.module:function"`` of a
            :class:`~boxwright.models.WeightsConverter`, which writes what the backend reads; empty if it reads the
            file.
    """

    name: str
    summary: str = ""
    origin: Literal["package", "import", "download"] = "package"
    presets: tuple[str, ...] = ()
    required: bool = True
    trained_on: str = ""
    license: str = ""
    homepage: str = ""
    size: int = 0
    sha256: str = ""
    file: str = ""
    install: str = ""
    npm: str = ""
    convert: str = ""


@dataclass(frozen=True)
class BackendSpec(Spec):
    """A kind of model and the way to train it. See :class:`boxwright.models.Backend`.

    A backend with an ``environment`` needs it to train; whether :meth:`~boxwright.models.Backend.load` does is its own
    affair.

    Args:
        presets: Name and one line on each ready-made configuration. The default is the first whose required weights, if
            any, are installed.
        objects: Name and one line on each Python object that ``boxwright.train(objects=...)`` passes on, such as
            callbacks.
        weights: The pretrained weights that it can start from.
        check: A callable ``(config, *, held_out)`` that is called before the data is read, with the configuration of a
            training (as in ``config.json``) and whether there is validation data. It raises
            :class:`~boxwright.UsageError` for what :class:`~boxwright.Option` cannot declare, and imports no framework.
    """

    presets: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    weights: tuple[WeightsSpec, ...] = ()
    check: str = ""


@dataclass(frozen=True)
class MetricSpec(Spec):
    """Compares detections with the ground truth. See :class:`boxwright.models.Metric`."""


@dataclass(frozen=True)
class TrainerSpec(Spec):
    """Where and how a backend's training runs. See :class:`boxwright.models.Trainer`.

    ``load`` is a callable ``(**options)``.

    Args:
        positional: The option that a value without a name sets: ``mirrored:2`` is ``mirrored:devices=2``.
    """

    positional: str = ""


@dataclass(frozen=True)
class ExporterSpec(Spec):
    """A deployable form of a trained model. See :class:`boxwright.models.Exporter`.

    Args:
        precisions: What may follow the target's name: ``openvino:fp16``; the first is the default.
        calibrated: The precisions that need images, which show the range of activations; only of a
            :class:`~boxwright.models.NetworkExporter`.
        backends: The backends whose runs it exports; empty for all.
        devices: The devices that its artifacts can run on, as ``device=`` of ``load``; empty without a choice.
        detect: A callable ``(path) -> Detection`` that tells whether a file or folder is a model of this kind, made by
            any program; empty if only exports of boxwright can be loaded.
    """

    precisions: tuple[str, ...] = ()
    calibrated: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    detect: str = ""


@dataclass(frozen=True)
class LoaderSpec(Spec):
    """Converts a dataset for a framework: ``name="tf"`` adds ``dataset.to_tf(...)``.

    ``load`` is a callable ``(dataset, **options)``. See :class:`boxwright.models.Loader`.
    """


@dataclass(frozen=True)
class LoggerSpec(Spec):
    """Sends what happens in a training to a file or a service: ``boxwright train --log NAME``.

    ``load`` is a callable ``(**options)``; the object that it returns implements event hooks as methods, for one
    training.

    Args:
        positional: The option that a value without a name sets: ``csv:log.csv`` is ``csv:path=log.csv``.
        default: Whether trainings use it unless the user chooses, if its library is installed.
    """

    positional: str = ""
    default: bool = False


@dataclass(frozen=True)
class CommandSpec(Spec):
    """A command of the program: ``boxwright NAME``.

    ``load`` is a function with arguments and options as Typer reads them. See :class:`boxwright.models.Command`.

    Args:
        step: Whether a recipe may have it as a step: it ends without help, with the same output for the same input.
    """

    step: bool = False


@dataclass(frozen=True)
class AnnotatorSpec(Spec):
    """Lets a person draw and correct boxes: ``boxwright annotate --with NAME``.

    ``load`` is a callable ``(**options) -> Annotator``. See :class:`boxwright.annotation.Annotator`.
    """


@dataclass(frozen=True)
class EngineSpec(Spec):
    """Runs the work of a command on other machines: ``boxwright convert --engine NAME``.

    ``load`` is a callable ``(**options) -> Engine``. See :class:`boxwright.datasets.Engine`.
    """


@dataclass(frozen=True)
class Detection:
    """A format's answer to "is this yours?".

    Args:
        matches: Whether the location looks like this format.
        reason: Why, in a few words: ``"12 .xml files with <annotation>"``, ``"a.xml does not begin with <annotation>"``
            or ``"no .xml file"``. One that does not begin with "no", "not", "its name" or "it is a" is a near miss,
            which is shown if no format matches.
    """

    matches: bool
    reason: str


KINDS: dict[str, type[Spec]] = {
    "format": FormatSpec,
    "transform": TransformSpec,
    "augmenter": AugmenterSpec,
    "backend": BackendSpec,
    "metric": MetricSpec,
    "trainer": TrainerSpec,
    "exporter": ExporterSpec,
    "loader": LoaderSpec,
    "logger": LoggerSpec,
    "command": CommandSpec,
    "annotator": AnnotatorSpec,
    "engine": EngineSpec,
}
"""The spec class of each kind of plugin; the hook of a kind is ``boxwright_KINDs``."""
