from .annotating import annotate as annotate
from .bulk import relabeled as relabeled, without_boxes as without_boxes
from .edits import (
    ANNOTATOR as ANNOTATOR,
    VERIFIED as VERIFIED,
    Drawn as Drawn,
    is_verified as is_verified,
)
from .loop import Round as Round, annotation_loop as annotation_loop
from .order import Reason as Reason
from .proposals import Proposal as Proposal, Proposals as Proposals
from .protocols import AnnotationFiles as AnnotationFiles, Annotator as Annotator
from .saving import Saved as Saved
from .session import AnnotationSession as AnnotationSession, ConflictError as ConflictError
from .simulation import Simulation as Simulation, simulate as simulate
