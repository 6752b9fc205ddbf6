from boxwright_cocoeval.conformance import *  # noqa: F403 - the tests
