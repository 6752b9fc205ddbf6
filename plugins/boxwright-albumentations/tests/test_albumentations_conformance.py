# pytest collects the classes from here.
from boxwright_albumentations.conformance import *  # noqa: F403
