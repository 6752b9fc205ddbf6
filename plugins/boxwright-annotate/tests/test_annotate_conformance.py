# pytest collects the classes from here.

from boxwright_annotate.conformance import *  # noqa: F403
