"""``pipeline.config``: the API's description of a model and its training, read and written through its protobufs.

The messages are those of ``object_detection/protos/pipeline.proto``, the file is protobuf's text format.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from typing import Any

from . import prepare  # noqa: F401  isort:skip

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util

MIN_STEPS = 500
MIN_EPOCHS = 12
_IMAGES_SHOWN = 4 * MIN_STEPS


def compose(
    connection: Any,
    *,
    text: str,
    source: str,
    own: bool,
    target: str,
    label_map: str,
    train_records: str,
    val_records: str | None,
    num_classes: int,
    most_boxes: int,
    most_detections: int,
    images: int,
    settings: dict[str, str],
    augment: list[str] | None = None,
    batch_size: int | None = None,
    image_size: list[int] | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Writes the configuration of one training.

    Args:
        connection: The connection to the main process.
        text: The initial configuration.
        source: The file of the text, for messages.
        own: Whether it is the user's own, in which only paths and explicit settings are changed.
        target: The file to write.
        label_map: The label map file.
        train_records: The records to train on.
        val_records: The records to evaluate on.
        num_classes: The highest id in the label map.
        most_boxes: The largest number of boxes in an image.
        most_detections: The number of detections per image that the model should keep.
        images: Number of images to train on.
        settings: Values by field, such as ``{"train_config.batch_size": "8"}``; they override the others.
        augment: Steps of ``PreprocessingStep``, as ``random_crop_image:min_area=0.5``; ``None`` for no change.
        batch_size: Images per step.
        image_size: Width and height.
        epochs: Number of passes over the images.
        steps: The number of steps, instead of ``epochs``.
        checkpoint: The checkpoint to start from, by the prefix of its file names.

    Returns:
        The settings: ``steps``, ``batch_size``, ``model``, ``extractor``, ``checkpoint``.
    """
    config = parse(connection, text, source)
    model = _model(connection, config, source)
    if batch_size is not None:
        config.train_config.batch_size = batch_size
    if image_size is not None:
        resizer = model.image_resizer.fixed_shape_resizer
        resizer.width, resizer.height = image_size
    if augment is not None:
        del config.train_config.data_augmentation_options[:]
        for step in augment:
            _add_augmentation(connection, config, step)
    if checkpoint is not None:
        config.train_config.fine_tune_checkpoint = checkpoint
        config.train_config.fine_tune_checkpoint_type = checkpoint_type(connection, checkpoint)
        config.train_config.fine_tune_checkpoint_version = 2  # V2
    if not own:
        model.num_classes = num_classes
        config.train_config.max_number_of_boxes = max(config.train_config.max_number_of_boxes, most_boxes)
        for message, field in _limits(model):
            setattr(message, field, max(getattr(message, field), most_detections))
    for path, value in settings.items():
        set_field(connection, config, path, value)
    model = _model(connection, config, source)
    if "train_config.num_steps" not in settings:
        _set_length(config, own=own, images=images, epochs=epochs, steps=steps)
    if not own:
        _set_schedule(config, settings)
    fill_paths(config, label_map, train_records, val_records)
    _check(connection, config, model, source, num_classes, most_boxes, most_detections)
    write(config, target)
    return {
        "steps": config.train_config.num_steps,
        "batch_size": config.train_config.batch_size,
        "model": config.model.WhichOneof("model"),
        "extractor": model.feature_extractor.type,
        "checkpoint": config.train_config.fine_tune_checkpoint,
    }


def parse(connection: Any, text: str, source: str) -> Any:
    """Parses the text of a ``TrainEvalPipelineConfig``; refuses it with the parser's message if it is not one."""
    try:
        return text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    except text_format.ParseError as error:
        place = f", line {error.GetLine()}" if error.GetLine() else ""
        raise connection.Refusal(f"{source}{place}: {_message_of(error)}", "correct that line", "usage") from None


def write(config: Any, target: str) -> None:
    """Writes the file completely or not at all."""
    temporary = f"{target}.writing"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(config))
    os.replace(temporary, target)


def remove_folders(message: Any) -> None:
    """Replaces each absolute path in a message by its file name: a model is copied to other computers."""
    for field, value in message.ListFields():
        repeated = field.label == field.LABEL_REPEATED
        if field.message_type is not None:
            for each in value if repeated else (value,):
                remove_folders(each)
        elif field.cpp_type != field.CPPTYPE_STRING:
            continue
        elif repeated:
            value[:] = [_file_name(each) for each in value]
        else:
            setattr(message, field.name, _file_name(value))


def _file_name(text: str) -> str:
    return os.path.basename(text) if os.path.isabs(text) else text


def fill_paths(config: Any, label_map: str, train_records: str, val_records: str | None) -> None:
    """Sets the files of this training; without held-out records, the evaluation is removed."""
    config.train_input_reader.label_map_path = label_map
    config.train_input_reader.tf_record_input_reader.input_path[:] = [train_records]
    if val_records is None:
        del config.eval_input_reader[:]
        return
    reader = config.eval_input_reader[0] if config.eval_input_reader else config.eval_input_reader.add()
    del config.eval_input_reader[1:]
    reader.label_map_path = label_map
    reader.tf_record_input_reader.input_path[:] = [val_records]


def set_field(connection: Any, config: Any, path: str, value: str) -> None:
    """Sets one field to a value in text format; strings need no quotes.

    A repeated message within the path means its first one; a repeated field at the end is replaced: ``[1.0, 2.0]``.
    """
    message, names = config, path.split(".")
    while len(names) > 1 and (field := message.DESCRIPTOR.fields_by_name.get(names[0])) and field.message_type:
        part = getattr(message, field.name)
        if field.label == field.LABEL_REPEATED:
            part = part[0] if part else part.add()
        else:
            part.SetInParent()
        message, names = part, names[1:]
    field = message.DESCRIPTOR.fields_by_name.get(names[0])
    if field is not None and len(names) == 1 and field.label == field.LABEL_REPEATED:
        message.ClearField(field.name)
    if field is not None and field.message_type is not None:
        inner = value.strip()
        text = f"{names[0]} {inner if inner.startswith('{') else '{' + inner + '}'}"
    elif field is not None and field.cpp_type == field.CPPTYPE_STRING and not re.match(r"\s*(['\"]|\[)", value):
        text = f'{names[0]}: "{text_format.text_encoding.CEscape(value, as_utf8=True)}"'
    else:
        text = f"{' { '.join(names)}: {value}" + " }" * (len(names) - 1)
    try:
        text_format.Merge(text, message)
    except text_format.ParseError as error:
        fields = [known.name for known in message.DESCRIPTOR.fields]
        near = difflib.get_close_matches(names[0], fields, n=1)
        guess = f"did you mean {near[0]!r}? " if near and field is None else ""
        remedy = f"{guess}{message.DESCRIPTOR.name} has: {', '.join(fields)}" if field is None else ""
        raise connection.Refusal(f"{path}={value}: {_message_of(error)}", remedy, "usage") from None


def checkpoint_type(connection: Any, checkpoint: str) -> str:
    """Returns the ``fine_tune_checkpoint_type`` of a checkpoint, by the names of its variables.

    A detector's variables are under ``model``, a classifier's, as in some files of the zoo, under
    ``feature_extractor``.
    """
    import tensorflow as tf

    try:
        names = [name for name, _ in tf.train.list_variables(checkpoint)]
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise connection.Refusal(
            f"{checkpoint} cannot be read as a checkpoint: {str(error)[:200]}",
            "check that it is complete, and from TensorFlow 2",
        ) from None
    for kind, prefix in (("detection", "model/"), ("classification", "feature_extractor/")):
        if any(name.startswith(prefix) for name in names):
            return kind
    raise connection.Refusal(
        f"{checkpoint} is not a checkpoint of the API's TensorFlow 2 models; it has {', '.join(sorted(names)[:3])}",
        "use one from the TensorFlow 2 model zoo",
    )


def _model(connection: Any, config: Any, source: str) -> Any:
    kind = config.model.WhichOneof("model")
    if kind is None:
        raise connection.Refusal(f"{source}: the model is missing", "begin it with: model { ssd { ... } }", "usage")
    return getattr(config.model, kind)


def _add_augmentation(connection: Any, config: Any, step: str) -> None:
    name, _, text = step.partition(":")
    fields = " ".join(part.replace("=", ": ", 1) for part in text.split(",") if part)
    option = config.train_config.data_augmentation_options.add()
    known = [field.name for field in option.DESCRIPTOR.fields]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise connection.Refusal(f"the API has no augmentation {name!r}", f"{guess}it has: {', '.join(known)}", "usage")
    try:
        text_format.Merge(f"{name} {{ {fields} }}", option)
    except text_format.ParseError as error:
        raise connection.Refusal(f"--augment {step}: {_message_of(error)}", "", "usage") from None


def _set_length(config: Any, *, own: bool, images: int, epochs: int | None, steps: int | None) -> None:
    """Sets the number of steps: as requested, else as in the user's file, else from the data."""
    train = config.train_config
    epoch = math.ceil(images / max(train.batch_size, 1))
    if steps is not None:
        train.num_steps = steps
    elif epochs is not None:
        train.num_steps = epochs * epoch
    elif not own or train.num_steps == 0:
        # Independent of the batch size, the model is shown the same number of images.
        train.num_steps = max(math.ceil(_IMAGES_SHOWN / max(train.batch_size, 1)), MIN_EPOCHS * epoch)


def _set_schedule(config: Any, settings: dict[str, str]) -> None:
    """Makes the presets' learning rate reach 0 at the last step, after a warm-up of a twentieth of all steps."""
    if any("_decay_learning_rate." in path for path in settings):
        return
    optimizer = config.train_config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    rate = getattr(optimizer, kind).learning_rate if kind else None
    if rate is not None and rate.WhichOneof("learning_rate") == "cosine_decay_learning_rate":
        cosine = rate.cosine_decay_learning_rate
        cosine.total_steps = config.train_config.num_steps
        cosine.warmup_steps = min(500, config.train_config.num_steps // 20)


def _limits(model: Any) -> list[tuple[Any, str]]:
    """Returns the messages and fields of a model that limit the number of detections per image."""
    limits: list[tuple[Any, str]] = []
    for name in ("post_processing", "second_stage_post_processing"):
        if name in model.DESCRIPTOR.fields_by_name:
            suppression = getattr(model, name).batch_non_max_suppression
            limits += [(suppression, "max_detections_per_class"), (suppression, "max_total_detections")]
    if "first_stage_max_proposals" in model.DESCRIPTOR.fields_by_name:
        limits.append((model, "first_stage_max_proposals"))
    if "object_center_params" in model.DESCRIPTOR.fields_by_name:
        limits.append((model.object_center_params, "max_box_predictions"))
    return limits


def _check(
    connection: Any, config: Any, model: Any, source: str, num_classes: int, most_boxes: int, most_detections: int
) -> None:
    if model.num_classes < num_classes:
        kind = config.model.WhichOneof("model")
        raise connection.Refusal(
            f"{source}: the label map has ids up to {num_classes}, and the model has {model.num_classes} classes",
            f"pass --set model.{kind}.num_classes={num_classes}",
            "usage",
        )
    if model.num_classes > num_classes:
        connection.warning(f"{source}: the model has {model.num_classes} classes, and the label map {num_classes}.")
    if (most := config.train_config.max_number_of_boxes) < most_boxes:
        connection.warning(
            f"an image has {most_boxes} boxes, of which {most} are trained on;"
            f" --set train_config.max_number_of_boxes={most_boxes} trains on all."
        )
    for message, field in _limits(model):
        if (most := getattr(message, field)) < min(most_boxes, most_detections):
            connection.warning(f"an image has {most_boxes} boxes, and {field} is {most}: some cannot be found.")
    checkpoint = config.train_config.fine_tune_checkpoint
    if checkpoint and not os.path.exists(f"{checkpoint}.index"):
        raise connection.Refusal(
            f"{source}: checkpoint {checkpoint} not found",
            "pass --set checkpoint=URL, ARCHIVE or FOLDER; or --set train_config.fine_tune_checkpoint= for none",
            "usage",
        )


def load(path: str) -> tuple[Any, dict[str, Any]]:
    """Reads a configuration that :func:`compose` wrote, as a message and as the parts for the API's functions."""
    configs = config_util.get_configs_from_pipeline_file(path)
    return config_util.create_pipeline_proto_from_configs(configs), configs


def _message_of(error: text_format.ParseError) -> str:
    """Returns the parser's message without its position, which is that in one setting."""
    return re.sub(r"^\d+:\d+ : ", "", str(error))
