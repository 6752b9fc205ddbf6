"""The Open Inference Protocol: as its specification describes it, and with a client that somebody else wrote."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from boxwright_serve.limits import Limits, RequestError
from boxwright_serve.open_inference import parse_request

Serve = Callable[..., Any]
Encoded = Callable[..., bytes]

INFER = "/v2/models/toy/infer"


def request(*images: bytes, **more: Any) -> dict[str, Any]:
    data = [base64.b64encode(image).decode() for image in images]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(images)], "data": data}]} | more


def test_the_server_and_the_model_describe_themselves(serve: Serve) -> None:
    server = serve()
    assert set(server.get("/v2").json) == {"name", "version", "extensions"}
    assert server.get("/v2/health/live").json == {"live": True}
    assert server.get("/v2/health/ready").json == {"ready": True}
    assert server.get("/v2/models/toy/ready").json == {"name": "toy", "ready": True}
    described = server.get("/v2/models/toy").json
    assert described == server.get("/v2/models/toy/versions/1").json
    assert {"name", "versions", "platform", "inputs", "outputs"} == set(described)
    assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert {each["name"]: each["datatype"] for each in described["outputs"]} == {
        "boxes": "FP32",
        "scores": "FP32",
        "classes": "INT64",
        "labels": "BYTES",
        "num_detections": "INT64",
    }
    for path in ("/v2/models/other", "/v2/models/toy/versions/2", "/v2/models/other/ready"):
        assert server.get(path).status == 404
        assert "toy" in server.get(path).json["remedy"]


def test_images_with_fewer_detections_are_padded(serve: Serve, encoded: Encoded) -> None:
    asked = request(encoded(30, 20, 204), encoded(9, 9, 0), encoded(40, 50, 102), id="7")
    answer = serve().ask("POST", INFER, json.dumps(asked))
    assert answer.status == 200
    content = answer.json
    assert (content["model_name"], content["model_version"], content["id"]) == ("toy", "1", "7")
    outputs = {each["name"]: each for each in content["outputs"]}
    assert outputs["boxes"]["shape"] == [3, 1, 4]
    assert outputs["boxes"]["data"] == [1.25, 2.5, 30, 20, 0, 0, 0, 0, 1.25, 2.5, 40, 50]
    assert outputs["scores"]["data"] == pytest.approx([0.8, 0, 0.4])
    assert outputs["classes"]["data"] == [1, -1, 0]
    assert outputs["labels"]["data"] == ["noon", "", "night"]
    assert outputs["num_detections"] == {"name": "num_detections", "datatype": "INT64", "shape": [3], "data": [1, 0, 1]}
    none = serve().ask("POST", INFER, json.dumps(request(encoded(9, 9, 0), id=None))).json
    assert [each["shape"] for each in none["outputs"]] == [[1, 0, 4], [1, 0], [1, 0], [1, 0], [1]]
    assert "id" not in none


def test_requested_outputs_and_the_score(serve: Serve, encoded: Encoded) -> None:
    asked = request(encoded(9, 9, 102), outputs=[{"name": "num_detections"}], parameters={"score": 0.5})
    outputs = serve().ask("POST", INFER, json.dumps(asked)).json["outputs"]
    assert outputs == [{"name": "num_detections", "datatype": "INT64", "shape": [1], "data": [0]}]


def test_binary_tensors(serve: Serve, encoded: Encoded) -> None:
    images = [encoded(30, 20, 204), encoded(40, 50, 102)]
    tensor = b"".join(struct.pack("<I", len(image)) + image for image in images)
    asked = request(outputs=[{"name": name, "parameters": {"binary_data": True}} for name in ("labels", "boxes")])
    asked["inputs"][0] |= {"shape": [2], "parameters": {"binary_data_size": len(tensor)}}
    del asked["inputs"][0]["data"]
    head = json.dumps(asked).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = serve().ask("POST", INFER, head + tensor, headers)
    assert answer.status == 200
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.body[:length])["outputs"]
    assert [each["parameters"]["binary_data_size"] for each in outputs] == [4 + 4 + 4 + 5, 2 * 4 * 4]
    rest = answer.body[length:]
    assert rest[:17] == b"\4\0\0\0noon\5\0\0\0night"
    assert np.frombuffer(rest[17:], "<f4").tolist() == [1.25, 2.5, 30, 20, 1.25, 2.5, 40, 50]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": []}, "cannot be read"),
        ({"inputs": None}, "cannot be read"),
        ({"inputs": [{"name": "other", "datatype": "BYTES", "shape": [1], "data": ["AA=="]}]}, "unknown input other"),
        ({"inputs": [{"name": "image", "datatype": "FP32", "shape": [1], "data": [1]}]}, "type FP32"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": ["AA=="]}]}, "shape [2]"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [0], "data": []}]}, "shape [0]"),
        *(
            ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": shape, "data": ["AA=="]}]}, "the shape")
            for shape in ([], [0.5, 2], 1, [-1, -1], [1, 1], [float("inf")])
        ),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": "AA=="}]}, "not a list"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [["AA=="]]}]}, "element 0"),
        ({"inputs": [{"name": "\ud800", "datatype": "BYTES", "shape": [1], "data": ["AA=="]}]}, "unknown input ?"),
        ({"outputs": [{"name": "\ud800"}]}, "unknown output ?"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["?"]}]}, "element 0"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [5]}]}, "element 0"),
        ({"outputs": [{"name": "masks"}]}, "unknown output masks"),
        ({"parameters": {"score": 7}}, "the score is 7"),
    ],
)
def test_wrong_requests(serve: Serve, encoded: Encoded, change: dict[str, Any], words: str) -> None:
    answer = serve().ask("POST", INFER, json.dumps(request(encoded(9, 9)) | change))
    assert answer.status == 400
    assert words in answer.json["error"]
    assert answer.json["remedy"]


@pytest.mark.parametrize(
    ("size", "tensor", "words"),
    [
        (5, b"\1\0\0\0", "4 bytes follow"),
        (4, b"\1\0\0\0", "cut off"),
        (3, b"\1\0\0", "cannot be read"),
    ],
)
def test_wrong_binary_tensors(serve: Serve, size: int, tensor: bytes, words: str) -> None:
    described = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [described]}).encode()
    server = serve()
    answer = server.ask("POST", INFER, head + tensor, {"Inference-Header-Content-Length": str(len(head))})
    assert answer.status == 400
    assert words in answer.json["error"]
    for length in ("x", "-1", "1" * 5000, str(len(head) + 99)):
        answer = server.ask("POST", INFER, head + tensor, {"Inference-Header-Content-Length": length})
        assert answer.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("image"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["inputs", "outputs", "parameters", "id"]), st.sampled_from(["", *"ndsp"]), JSON, st.binary())
def test_any_request_is_read_or_refused(key: str, inside: str, value: Any, binary: bytes) -> None:
    """One value of a valid request is another one, and bytes follow it."""
    content: dict[str, Any] = request(b"a", outputs=[{"name": "boxes"}], parameters={"score": 0.5}, id="1")
    names = {"n": "name", "d": "data", "s": "shape", "p": "parameters"}
    if inside and key in ("inputs", "outputs"):
        content[key][0][names[inside]] = value
    else:
        content[key] = value
    head = json.dumps(content).encode()
    for body, length in ((head, None), (head + binary, str(len(head)))):
        try:
            assert len(parse_request(body, length).images) >= 1
        except RequestError as refused:
            error = refused
        else:
            continue
        assert error.status == 400
        assert error.remedy


def test_deep_nesting_is_refused() -> None:
    content = request(b"a")
    text = json.dumps(content).replace('["YQ=="]', "[" * 900 + "]" * 900)
    with pytest.raises(RequestError):
        parse_request(text.encode(), None)


def test_an_image_that_is_wrong_is_named(serve: Serve, encoded: Encoded) -> None:
    answer = serve().ask("POST", INFER, json.dumps(request(encoded(9, 9), b"hello")))
    assert answer.status == 415
    assert answer.json["error"].startswith("image 1: ")


def test_more_images_than_the_queue(serve: Serve, encoded: Encoded) -> None:
    server = serve(Limits(queue=3))
    assert server.ask("POST", INFER, json.dumps(request(*[encoded(9, 9)] * 3))).status == 200
    for number in (4, 5):
        assert server.ask("POST", INFER, json.dumps(request(*[encoded(9, 9)] * number))).status == 413
    assert b"boxwright_queue_images 0.0" in server.get("/metrics").body


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("binary", [True, False])
def test_with_the_client_of_triton(serve: Serve, encoded: Encoded, binary: bool) -> None:
    client_module = pytest.importorskip("tritonclient.http", reason='needs "tritonclient[http]"')
    server = serve()
    client = client_module.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("toy")
    assert client.get_model_metadata("toy")["inputs"][0]["name"] == "image"
    images = [encoded(30, 20, 204), encoded(9, 9, 0)]
    elements = images if binary else [base64.b64encode(image) for image in images]
    given = client_module.InferInput("image", [2], "BYTES")
    given.set_data_from_numpy(np.array(elements, object), binary_data=binary)
    outputs = [client_module.InferRequestedOutput(name, binary_data=binary) for name in ("boxes", "labels")]
    result = client.infer("toy", [given], outputs=outputs, request_id="a")
    assert result.get_response()["id"] == "a"
    assert result.as_numpy("boxes").tolist() == [[[1.25, 2.5, 30, 20]], [[0, 0, 0, 0]]]
    labels = result.as_numpy("labels")
    assert [each.decode() if isinstance(each, bytes) else each for each in labels.ravel()] == ["noon", ""]
    everything = client.infer("toy", [given])
    assert everything.as_numpy("num_detections").tolist() == [1, 0]
    assert everything.as_numpy("scores").ravel() == pytest.approx([0.8, 0])
    with pytest.raises(client_module.InferenceServerException, match="unknown model"):
        client.infer("other", [given])
    client.close()
