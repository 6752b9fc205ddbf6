"""Label Studio's JSON for boxwright: read and write."""

from boxwright import FormatSpec, Option, hookimpl
from boxwright.plugins import IMAGES, SHAPES

boxwright_api = (1, 1)
boxwright_conformance = "boxwright_labelstudio.conformance"


@hookimpl
def boxwright_formats() -> list[FormatSpec]:
    """Returns the format ``label-studio``."""
    return [
        FormatSpec(
            name="label-studio",
            summary="Label Studio's JSON and JSON-MIN exports; writes tasks with pre-annotations to import",
            load="boxwright_labelstudio.reader:LabelStudioReader",
            write="boxwright_labelstudio.writer:LabelStudioWriter",
            detect="boxwright_labelstudio.detect:detect",
            options=(
                SHAPES,
                Option(
                    "annotation",
                    ("first", "latest", "ground_truth", "all"),
                    "first",
                    "which annotation of a task to read, without the cancelled ones",
                ),
                Option(
                    "predictions",
                    ("missing", "ignore", "only"),
                    "missing",
                    "whether to read the predictions of a task: if it has no annotation, never, or instead of it",
                ),
                Option("image", str, None, "the key of the image in the data of a task, if there are several"),
                Option("images", str, None, "the folder of the images, if it is not that of the JSON file"),
            ),
            write_options=(
                IMAGES,
                Option("into", ("predictions", "annotations"), "predictions", "what the boxes of an image become"),
                Option("prefix", str, "", "what image names begin with: /data/local-files/?d=photos/"),
                Option("from_name", str, "label", "the name of RectangleLabels in the labeling configuration"),
                Option("to_name", str, "image", "the name of Image in the labeling configuration"),
                Option("model_version", str, "boxwright", "the name under which Label Studio lists the predictions"),
            ),
            carries=frozenset({"empty", "subpixel", "box.*", "image.*"}),
            adds=frozenset({"box.id", "image.source_id"}),
            target="file",
            true_size=True,
            docs="https://labelstud.io/guide/task_format",
        )
    ]
