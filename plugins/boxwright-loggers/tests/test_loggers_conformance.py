# pytest collects the classes from here.

from boxwright_loggers.conformance import *  # noqa: F403
