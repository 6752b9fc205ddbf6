from .hookspecs import hookimpl as hookimpl
from .manager import LoadedPlugins as LoadedPlugins, PluginRecord as PluginRecord, load_plugins as load_plugins
from .options import (
    IMAGES as IMAGES,
    MAX_BAD as MAX_BAD,
    SHAPES as SHAPES,
    Option as Option,
    convert_options as convert_options,
    parse_literal as parse_literal,
    parse_size as parse_size,
)
from .registry import (
    Registered as Registered,
    Registry as Registry,
    default_registry as default_registry,
    environments as environments,
    find_environment as find_environment,
    require as require,
)
from .specs import (
    API_VERSION as API_VERSION,
    KINDS as KINDS,
    AnnotatorSpec as AnnotatorSpec,
    AugmenterSpec as AugmenterSpec,
    BackendSpec as BackendSpec,
    CommandSpec as CommandSpec,
    Detection as Detection,
    EngineSpec as EngineSpec,
    ExporterSpec as ExporterSpec,
    FormatSpec as FormatSpec,
    LoaderSpec as LoaderSpec,
    LoggerSpec as LoggerSpec,
    MetricSpec as MetricSpec,
    Spec as Spec,
    TrainerSpec as TrainerSpec,
    TransformSpec as TransformSpec,
    WeightsSpec as WeightsSpec,
)
