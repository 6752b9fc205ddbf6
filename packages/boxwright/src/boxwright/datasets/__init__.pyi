from .conversion import ConversionReport as ConversionReport, convert as convert
from .dataset import Dataset as Dataset, SampleReader as SampleReader, open_dataset as open_dataset
from .detect import detect_format as detect_format, detection_reasons as detection_reasons
from .folder_output import FolderFiles as FolderFiles
from .losses import (
    BOOKKEEPING as BOOKKEEPING,
    BOX_BOOKKEEPING as BOX_BOOKKEEPING,
    SUBPIXEL as SUBPIXEL,
    Losses as Losses,
)
from .parallel import WORTH_IT as WORTH_IT, available_cores as available_cores, map_samples as map_samples
from .problems import Problems as Problems
from .protocols import (
    BatchWriter as BatchWriter,
    DatasetTransform as DatasetTransform,
    LabelPreservingTransform as LabelPreservingTransform,
    LabelReader as LabelReader,
    NumberedWriter as NumberedWriter,
    OnProblem as OnProblem,
    Output as Output,
    PartitionedLabelReader as PartitionedLabelReader,
    PartitionedReader as PartitionedReader,
    PreparingWriter as PreparingWriter,
    Reader as Reader,
    ReportingTransform as ReportingTransform,
    SwappingReader as SwappingReader,
    Transform as Transform,
    Writer as Writer,
)
from .scan import Scan as Scan
from .steps import make_transform as make_transform
