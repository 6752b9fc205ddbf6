"""What all tests share."""

import gc
import os
import sys
from contextlib import suppress

import pytest

# The tests start hundreds of processes. Without bytecode, each compiles everything that it imports, which takes longer
# than most of them: TensorFlow is imported in 5 seconds with it, and in 15 without.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

with suppress(ImportError):  # the benchmarks do without it
    from hypothesis import settings

    # How long an example takes depends on what else the machine does.
    settings.register_profile("boxwright", deadline=None)
    settings.load_profile("boxwright")


def pytest_configure(config: pytest.Config) -> None:
    """Lets pytest-xdist distribute the modules in their order, not by their numbers of tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the modules that take long, so that no process waits for the last of them at the end."""
    tensorflow = {item.path for item in items if item.get_closest_marker("tensorflow")}
    processes = ("packages/boxwright-testing/", "tests/")  # they start programs, or pytest
    items.sort(
        key=lambda item: (
            item.path not in tensorflow,
            not item.nodeid.startswith(processes),
            not item.path.stem.endswith("_conformance"),
        )
    )


def pytest_collection_finish() -> None:
    """Exempts what is imported by now from garbage collection: with TensorFlow, a collection takes half a second."""
    gc.freeze()
