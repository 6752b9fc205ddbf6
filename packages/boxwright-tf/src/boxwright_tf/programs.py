"""Refuses TensorFlow models that do more than calculate: operations with files, connections or Python code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from boxwright import DataError
from boxwright.models import models_trusted, untrusted_model

_CHECKPOINT: Final = re.compile(r"(?:DTensor)?(?:Restore|Save)(?:Slices?|V2)?|MergeV2Checkpoints|DistributedSave")
_PROGRAM: Final = re.compile(
    r".*PyFunc.*|ReadFile|WriteFile|MatchingFiles|FileSystemSetConfiguration|RecordInput|DumpTensor|PrintV2"
    r"|(?:TextLine|FixedLengthRecord|TFRecord|WholeFile|LMDB)Reader(?:V\d)?"
    r"|(?:Experimental)?(?:TextLine|FixedLengthRecord|TFRecord|MatchingFiles|CSV|Sql|LMDB|Save|Load|Cache|DataService)"
    r"Dataset(?:V\d)?|RegisterDataset(?:V\d)?|DecodeProto(?:V\d)?|EncodeProto|FixedUnigramCandidateSampler"
    r"|.*Snapshot.*(?:Dataset|Reader)(?:V\d)?|(?:Experimental)?DatasetToTFRecord"
    r"|Debug(?:Gradient(?:Ref)?)?Identity(?:V\d)?|Debug(?:NanCount|NumericSummary)(?:V\d)?"
    r"|InitializeTableFromTextFile(?:V\d)?|GenerateVocabRemapping|LoadAndRemapMatrix"
    r"|Rpc.*|RemoteCall|CreateSummary(?:Db|File)Writer|Write.*Summary"
)
"""The operations of TensorFlow 2.21 with a file, a connection or Python code, by their names."""


def refuse_graph(path: Path, graph: Any) -> None:
    """Checks a ``GraphDef`` before it is imported.

    Raises:
        DataError: It contains such operations, and the user does not trust it.
    """
    _refuse(path, (node.op for node in (*graph.node, *_library_nodes(graph))))


def refuse_saved_model(folder: Path) -> None:
    """Checks a SavedModel before it is loaded.

    Functions that only save and restore its variables may contain operations for checkpoints.

    Raises:
        DataError: It contains such operations, and the user does not trust it; or it is damaged.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    content = saved_model_pb2.SavedModel()
    try:
        content.ParseFromString(path.read_bytes())
    except OSError as error:
        raise DataError(path, error.strerror or str(error), "check the path") from None
    except DecodeError:
        raise DataError(path, "it is not a SavedModel, or damaged", "copy or export it again") from None
    for meta in content.meta_graphs:
        _refuse(path, _operations(meta))


def _refuse(path: Path, operations: Iterable[str]) -> None:
    if models_trusted():
        return
    found = sorted({each for each in operations if _PROGRAM.fullmatch(each) or _CHECKPOINT.fullmatch(each)})
    if found:
        names = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise untrusted_model(path, f"it contains operations with files, connections or Python code: {names}")


def _operations(meta: Any) -> Iterator[str]:
    """Yields the operations that can run when the model is loaded or called."""
    graph = meta.graph_def
    nodes = {node.name: node for node in graph.node}
    savers = {name.partition(":")[0] for name in (meta.saver_def.save_tensor_name, meta.saver_def.restore_op_name)}
    if not meta.HasField("object_graph_def"):  # a model of TensorFlow 1: only what its outputs need is run
        wanted = [tensor.name for signature in meta.signature_def.values() for tensor in signature.outputs.values()]
        for collection in meta.collection_def.values():
            wanted += collection.node_list.value
        nodes = {name: nodes[name] for name in _needed(nodes, wanted)}
    own = {name for node in nodes.values() if node.name in savers for name in _called(node)}
    called = {name for node in nodes.values() if node.name not in savers for name in _called(node)}
    called |= {name for node in _library_nodes(graph) for name in _called(node)}
    own -= called | set(meta.object_graph_def.concrete_functions)
    for node in nodes.values():
        yield node.op
    for function in graph.library.function:
        for node in function.node_def:
            if function.signature.name not in own or not _CHECKPOINT.fullmatch(node.op):
                yield node.op


def _library_nodes(graph: Any) -> Iterator[Any]:
    for function in graph.library.function:
        yield from function.node_def


def _called(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        yield from (each.name for each in (value.func, *value.list.func) if each.name)


def _needed(nodes: dict[str, Any], wanted: list[str]) -> set[str]:
    found: set[str] = set()
    left = [re.sub(r"^\^|:\d+$", "", name) for name in wanted]
    while left:
        name = left.pop()
        if name in nodes and name not in found:
            found.add(name)
            left += [re.sub(r"^\^|:\d+$", "", each) for each in nodes[name].input]
    return found
