# pytest collects the classes from here.
from boxwright_transforms.conformance import *  # noqa: F403
