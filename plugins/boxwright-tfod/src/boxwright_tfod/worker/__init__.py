"""The code that runs in the API's environment, called by :mod:`boxwright_tfod` through its worker process.

Nothing here imports boxwright, or is imported by it. Imports within the package are relative, because it is loaded
under another name there.
"""

from __future__ import annotations

import os
import warnings

# Output is for the log of a worker that died; deprecation warnings do not explain that.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
warnings.simplefilter("ignore")
