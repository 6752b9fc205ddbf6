from .arrays import class_numbers as class_numbers
from .columns import Columns as Columns, columns_of as columns_of
from .conversion import ConversionReport as ConversionReport, convert as convert
from .dataset import (
    Dataset as Dataset,
    SampleReader as SampleReader,
    empty_dataset_error as empty_dataset_error,
    open_dataset as open_dataset,
)
from .detect import (
    detect_format as detect_format,
    detection_reasons as detection_reasons,
    near_misses as near_misses,
)
from .engines import engine_options as engine_options, opened_engine as opened_engine
from .errands import Errand as Errand
from .folder_output import FolderFiles as FolderFiles
from .losses import (
    BOOKKEEPING as BOOKKEEPING,
    BOX_BOOKKEEPING as BOX_BOOKKEEPING,
    SUBPIXEL as SUBPIXEL,
    Losses as Losses,
)
from .names import Names as Names
from .parallel import (
    WORTH_IT as WORTH_IT,
    available_cores as available_cores,
    map_samples as map_samples,
    ordered_results as ordered_results,
)
from .parts import in_parts as in_parts
from .problems import Problems as Problems
from .protocols import (
    BatchWriter as BatchWriter,
    ColumnReader as ColumnReader,
    DatasetTransform as DatasetTransform,
    Engine as Engine,
    LabelPreservingTransform as LabelPreservingTransform,
    LabelReader as LabelReader,
    MergingTransform as MergingTransform,
    NumberedWriter as NumberedWriter,
    OnProblem as OnProblem,
    Output as Output,
    PartitionedLabelReader as PartitionedLabelReader,
    PartitionedReader as PartitionedReader,
    PreparingWriter as PreparingWriter,
    Reader as Reader,
    ReportingTransform as ReportingTransform,
    ShapeReader as ShapeReader,
    ShardedReader as ShardedReader,
    SwappingReader as SwappingReader,
    Transform as Transform,
    Work as Work,
    Writer as Writer,
)
from .runs import (
    box_of_runs as box_of_runs,
    packed_runs as packed_runs,
    pixels_of_runs as pixels_of_runs,
    runs_of_pixels as runs_of_pixels,
    unpacked_runs as unpacked_runs,
)
from .scan import Scan as Scan
from .shape_rule import (
    DrawnShape as DrawnShape,
    ItemError as ItemError,
    RefusedShapeError as RefusedShapeError,
    ShapeRule as ShapeRule,
)
from .shapes import (
    Ellipse as Ellipse,
    Mask as Mask,
    Points as Points,
    Polygon as Polygon,
    Polyline as Polyline,
    Rectangle as Rectangle,
    Shape as Shape,
    ShapeError as ShapeError,
    Skeleton as Skeleton,
    box_of_points as box_of_points,
    rotated as rotated,
    shape_of as shape_of,
)
from .steps import (
    make_transform as make_transform,
    parse_options as parse_options,
    split_outside_brackets as split_outside_brackets,
)
