from .annotating import annotate as annotate
from .protocols import AnnotationFiles as AnnotationFiles, Annotator as Annotator
from .saving import Saved as Saved
from .session import (
    AnnotationSession as AnnotationSession,
    ConflictError as ConflictError,
    Drawn as Drawn,
)
