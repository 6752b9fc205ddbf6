"""The conformance tests of the loggers; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxwright_testing import LoggerTests


class TestCsv(LoggerTests):
    """``csv``."""

    logger = "csv"


class TestJsonLines(LoggerTests):
    """``jsonl``."""

    logger = "jsonl"


class TestTensorBoard(LoggerTests):
    """``tensorboard``."""

    logger = "tensorboard"


@pytest.mark.filterwarnings("default")  # MLflow and SQLAlchemy use what the other has deprecated
class TestMlflow(LoggerTests):
    """``mlflow`` with a local database."""

    logger = "mlflow"

    def step(self, folder: Path) -> str:
        """The logger with its options."""
        return f"mlflow:uri=sqlite:///{folder}/mlflow.db"


@pytest.mark.filterwarnings("default")
class TestWandb(LoggerTests):
    """``wandb`` without its server."""

    logger = "wandb"

    def step(self, folder: Path) -> str:
        """The logger with its options."""
        return "wandb:mode=offline"
