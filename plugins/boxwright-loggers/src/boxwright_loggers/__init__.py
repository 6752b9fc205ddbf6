"""Loggers of trainings: ``boxwright train --log csv``, ``--log mlflow:uri=http://127.0.0.1:5000``."""

from __future__ import annotations

from boxwright import LoggerSpec, Option, hookimpl

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_loggers.conformance"


@hookimpl
def boxwright_loggers() -> list[LoggerSpec]:
    """The loggers ``csv``, ``jsonl``, ``tensorboard``, ``mlflow`` and ``wandb``."""
    return [
        LoggerSpec(
            name="csv",
            summary="One row per epoch, as a CSV file",
            load="boxwright_loggers.files:CsvLogger",
            options=(Option("path", str, help="the file; by default log.csv in the run folder"),),
            positional="path",
        ),
        LoggerSpec(
            name="jsonl",
            summary="One JSON object per event, appended to a file",
            load="boxwright_loggers.files:JsonLinesLogger",
            options=(Option("path", str, help="the file; by default log.jsonl in the run folder"),),
            positional="path",
        ),
        LoggerSpec(
            name="tensorboard",
            summary="Curves, images with predictions, and precision-recall curves for TensorBoard",
            load="boxwright_loggers.tensorboard:TensorBoardLogger",
            options=(Option("path", str, help="the folder; by default tensorboard in the run folder"),),
            positional="path",
            default=True,
            requires=("tensorboard",),
            install='python -m pip install "boxwright-loggers[tensorboard]"',
        ),
        LoggerSpec(
            name="mlflow",
            summary="A run of MLflow: settings, curves, images and final metrics",
            load="boxwright_loggers.mlflow:MlflowLogger",
            options=(
                Option("uri", str, help="the server or database; by default MLFLOW_TRACKING_URI, or mlflow.db"),
                Option("experiment", str, "boxwright", "the experiment, which is created if it does not exist"),
                Option("name", str, help="the name of the run; by default that of the run folder"),
            ),
            positional="uri",
            requires=("mlflow",),
            install='python -m pip install "boxwright-loggers[mlflow]"',
        ),
        LoggerSpec(
            name="wandb",
            summary="A run of Weights & Biases: settings, curves, images and final metrics",
            load="boxwright_loggers.wandb:WandbLogger",
            options=(
                Option("project", str, "boxwright", "the project"),
                Option("entity", str, help="the user or team; by default yours"),
                Option("name", str, help="the name of the run; by default that of the run folder"),
                Option(
                    "mode",
                    ("online", "offline"),
                    help="offline keeps everything in the run folder, or with --overwrite next to it",
                ),
            ),
            positional="project",
            requires=("wandb",),
            install='python -m pip install "boxwright-loggers[wandb]"',
        ),
    ]
