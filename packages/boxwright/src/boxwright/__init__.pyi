__version__: str

from .analysis.comparison import Comparison as Comparison, compare as compare
from .analysis.validation import ValidationReport as ValidationReport, validate as validate
from .analysis.view import view as view
from .boxes import (
    BoxFormat as BoxFormat,
    clip as clip,
    convert_format as convert_format,
    iou as iou,
    scale as scale,
    share_inside as share_inside,
)
from .datasets.bridges import (
    from_supervision as from_supervision,
    to_fiftyone as to_fiftyone,
    to_supervision as to_supervision,
)
from .datasets.conversion import ConversionReport as ConversionReport, convert as convert
from .datasets.dataset import Dataset as Dataset, open as open
from .datasets.memory import (
    from_coco_dict as from_coco_dict,
    from_pandas as from_pandas,
    from_samples as from_samples,
    to_coco_dict as to_coco_dict,
    to_pandas as to_pandas,
)
from .errors import (
    BoxwrightError as BoxwrightError,
    DataError as DataError,
    EngineError as EngineError,
    ExportError as ExportError,
    LossError as LossError,
    MissingLibraryError as MissingLibraryError,
    NotAnnotatedError as NotAnnotatedError,
    OutputError as OutputError,
    PluginError as PluginError,
    PluginNotFoundError as PluginNotFoundError,
    RunError as RunError,
    UsageError as UsageError,
    WorkerDiedError as WorkerDiedError,
)
from .label_map import (
    LabelMap as LabelMap,
    LabelMapItem as LabelMapItem,
    find_label_map as find_label_map,
    read_label_map as read_label_map,
)
from .models.benchmark import Benchmark as Benchmark, benchmark as benchmark
from .models.evaluation import Evaluation as Evaluation, evaluate as evaluate
from .models.export import Export as Export, export as export
from .models.inference import load_model as load_model
from .models.job import TrainJob as TrainJob
from .models.prediction import Prediction as Prediction, predict as predict
from .models.protocols import MetricResult as MetricResult
from .models.run import Run as Run
from .models.search import Tuning as Tuning
from .models.training import train as train
from .models.tuning import tune as tune
from .plugins.hookspecs import hookimpl as hookimpl
from .plugins.options import Option as Option
from .plugins.registration import register_format as register_format
from .plugins.specs import (
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
    TrainerSpec as TrainerSpec,
    TransformSpec as TransformSpec,
    WeightsSpec as WeightsSpec,
)
from .progress import LogReporter as LogReporter, Reporter as Reporter, Task as Task
from .regions import are_regions as are_regions, is_set as is_set
from .schemas import (
    NO_ATTRIBUTES as NO_ATTRIBUTES,
    Box as Box,
    Boxes as Boxes,
    Coordinates as Coordinates,
    DatasetInfo as DatasetInfo,
    Detections as Detections,
    ImageRef as ImageRef,
    JsonAttributes as JsonAttributes,
    Sample as Sample,
    SwappedCoordinates as SwappedCoordinates,
    check_coordinates as check_coordinates,
)
from .storage.uri import DatasetURI as DatasetURI
from .text import did_you_mean as did_you_mean, is_text as is_text
