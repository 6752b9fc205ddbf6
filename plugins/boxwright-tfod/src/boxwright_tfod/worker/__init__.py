"""What runs in the API's own environment, called by :mod:`boxwright_tfod` through :mod:`boxwright.environments.worker`.

Nothing here imports boxwright, or is imported by it; within the package imports are relative, for it is loaded under
another name there.
"""

from __future__ import annotations

import os
import warnings

# What is printed is for the log of a worker that died, and deprecations are no last words.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
warnings.simplefilter("ignore")
