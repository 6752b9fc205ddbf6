"""The HTTP interface: the three forms of a request, limits, tokens and origins, batches, and errors."""

from __future__ import annotations

import base64
import gc
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from boxwright import DataError, RunError, UsageError
from boxwright_serve import server as serving
from boxwright_serve.app import create_app
from boxwright_serve.limits import Limits
from boxwright_serve.server import address_of, bound_socket, check_access
from boxwright_serve.service import Service

Serve = Callable[..., Any]
Encoded = Callable[..., bytes]

TOKEN = "a-token-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def form(data: bytes, name: str = "a.png", **fields: str) -> tuple[bytes, str]:
    """Returns a body of multipart/form-data (RFC 7578) and its type."""
    parts = [
        f'--limit\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--limit\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
    parts.append(f"{head}Content-Type: image/png\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + b"--limit--\r\n", "multipart/form-data; boundary=limit"


def until(server: Any, metric: bytes) -> None:
    """Waits for the value of a metric."""
    end = time.monotonic() + 20
    while metric not in (text := server.get("/metrics").body):
        assert time.monotonic() < end, text.decode()
        time.sleep(0.005)


def test_the_three_forms_have_the_same_answer(serve: Serve, encoded: Encoded) -> None:
    server, data = serve(), encoded(30, 20, 204)
    raw = server.predict(data)
    assert raw.status == 200
    assert raw.json == {
        "image": "image",
        "width": 30,
        "height": 20,
        "detections": [{"label": "noon", "score": 0.8, "box": [1.25, 2.5, 30.0, 20.0]}],
        "score": 0.3,
    }
    body, kind = form(data, "photos/a.png")
    assert server.predict(body, Content_Type=kind).json == raw.json | {"image": "a.png"}
    content = {"image": base64.b64encode(data).decode(), "name": "b.png"}
    text = json.dumps(content)
    assert server.predict(text, Content_Type="application/json").json == raw.json | {"image": "b.png"}
    content["image"] = f"data:image/png;base64,{content['image']}"
    as_url = server.predict(json.dumps(content), Content_Type="application/json; charset=utf-8")
    assert as_url.json["detections"] == raw.json["detections"]
    # The default of curl --data-binary.
    assert server.predict(data, Content_Type="application/x-www-form-urlencoded").json == raw.json


def test_boxes_are_in_pixels_of_the_upright_image(serve: Serve, encoded: Encoded) -> None:
    answer = serve().predict(encoded(40, 24, 204, "JPEG", orientation=6)).json
    assert (answer["width"], answer["height"]) == (24, 40)
    assert answer["detections"][0]["box"] == [1.25, 2.5, 24.0, 40.0]


def test_the_lowest_score(serve: Serve, encoded: Encoded, toy: Any) -> None:
    server, data = serve(), encoded(9, 9, 102)  # 0.4
    assert len(server.predict(data).json["detections"]) == 1
    assert server.predict(data, "?score=0.5").json == {
        "image": "image",
        "width": 9,
        "height": 9,
        "detections": [],
        "score": 0.5,
    }
    body, kind = form(data, score="0.5")
    assert server.predict(body, Content_Type=kind).json["detections"] == []
    text = json.dumps({"image": base64.b64encode(data).decode(), "score": 0.5})
    assert server.predict(text, Content_Type="application/json").json["detections"] == []
    assert serve(score=0.5).predict(data).json["detections"] == []
    tuned = serve(other=toy(score=(0.45, 0.9)))
    assert tuned.predict(data).json["detections"] == []
    assert tuned.predict(data).json["score"] == {"night": 0.45, "noon": 0.9}
    assert len(tuned.predict(encoded(9, 9, 124)).json["detections"]) == 1
    assert tuned.predict(encoded(9, 9, 204)).json["detections"] == []


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"body": b""}, 400, "empty"),
        ({"body": b"hello"}, 415, "cannot be read as an image"),
        ({"query": "?score=2"}, 400, "the score is 2"),
        ({"query": "?score=high"}, 400, "number"),
        ({"query": "?score=nan"}, 400, "the score is nan"),
        ({"body": b"{", "kind": "application/json"}, 400, "not JSON"),
        ({"body": b"[" * 9_000, "kind": "application/json"}, 400, "not JSON"),
        ({"body": b"[]", "kind": "application/json"}, 400, "`image`"),
        ({"body": b'{"image": 3}', "kind": "application/json"}, 400, "not a text"),
        ({"body": b'{"image": "*"}', "kind": "application/json"}, 400, "not base64"),
        ({"body": b"abc", "kind": "multipart/form-data"}, 400, "form"),
        ({"body": b"abc", "kind": "multipart/form-data; boundary=x"}, 400, "form"),
        ({"body": b"--x--\r\n", "kind": "multipart/form-data; boundary=x"}, 400, "no file"),
        ({"encoding": "gzip"}, 415, "gzip"),
    ],
)
def test_wrong_requests(serve: Serve, encoded: Encoded, change: dict[str, Any], status: int, words: str) -> None:
    server = serve()
    headers = {"Content-Type": change.get("kind", "image/png"), "Content-Encoding": change.get("encoding", "Identity")}
    body = change.get("body", encoded(9, 9))
    answer = server.ask("POST", f"/predict{change.get('query', '')}", body, headers)
    assert answer.status == status
    assert words in answer.json["error"]
    assert answer.json["remedy"]
    assert server.predict(encoded(9, 9)).status == 200


def test_several_files_are_refused(serve: Serve, encoded: Encoded) -> None:
    body, kind = form(encoded(9, 9))
    twice = body.removesuffix(b"--limit--\r\n") + body
    answer = serve().predict(twice, Content_Type=kind)
    assert (answer.status, answer.json["error"]) == (400, "the form contains several files")


def test_a_name_is_data(serve: Serve, encoded: Encoded) -> None:
    text = json.dumps({"image": base64.b64encode(encoded(9, 9)).decode(), "name": "../<b>\n\u202ex\\y" + "z" * 999})
    answer = serve().predict(text, Content_Type="application/json")
    assert answer.json["image"] == "y" + "z" * 199
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_truncated_image_fails_alone(serve: Serve, encoded: Encoded, model: Any) -> None:
    """Also within a batch, whose other images are answered."""
    good, bad = encoded(64, 64, 204, "JPEG"), encoded(640, 640, 204, "JPEG")[:-400]
    server = serve(Limits(batch_size=8, batch_wait=0.3))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.predict, [good, good, good, bad, good, good, bad, good]))
    assert [answer.status for answer in answers] == [200, 200, 200, 422, 200, 200, 422, 200]
    assert "damaged" in answers[3].json["error"]
    assert max(model.batches) > 1


def test_the_good_images_of_a_batch_with_bad_ones_are_predicted_together(
    serve: Serve, encoded: Encoded, toy: Any
) -> None:
    class Eager(toy):  # type: ignore[misc]
        def predict(self, samples: Any, **options: Any) -> Any:
            return list(super().predict(samples, **options))

    model = Eager()
    server = serve(Limits(batch_size=8, batch_wait=3600), model)
    good, bad = encoded(64, 64, 204, "JPEG"), encoded(640, 640, 204, "JPEG")[:-400]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.predict, [good, bad, *[good] * 5, bad]))
    assert [answer.status for answer in answers] == [200, 422, *[200] * 5, 422]
    assert model.batches == [8, 6]


def test_errors_keep_no_images_in_reference_cycles(serve: Serve, encoded: Encoded) -> None:
    """Which would exist until Python searches for cycles, and make the memory grow."""
    good, bad = encoded(64, 64, 204, "JPEG"), encoded(640, 640, 204, "JPEG")[:-400]
    server = serve(Limits(batch_size=2, batch_wait=3600))
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        with ThreadPoolExecutor(2) as pool:
            for bodies in ([good, bad], [bad, bad], [bad, b"not an image", good]):
                assert len(list(pool.map(server.predict, bodies))) == len(bodies)
        gc.collect()
        kept = [found.f_code.co_name for found in gc.garbage if isinstance(found, FrameType)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert kept == []


def test_limits_of_bytes(serve: Serve, encoded: Encoded) -> None:
    server = serve(Limits(image_bytes=100_000))
    small = encoded(100, 100)
    large = small + bytes(100_000)
    for size, status in ((len(small), 200), (len(large), 413)):
        data = large[:size]
        body, kind = form(data)
        text = json.dumps({"image": base64.b64encode(data).decode()})
        assert server.predict(data).status == status
        assert server.predict(body, Content_Type=kind).status == status
        answer = server.predict(text, Content_Type="application/json")
        assert answer.status == status
    # It is larger than it can be as base64.
    answer = server.predict(text + " " * 100_000, Content_Type="application/json")
    assert (answer.status, answer.json["error"]) == (413, "the request is larger than 198,869 bytes")
    answer = server.predict(bytes(5_000_000))
    assert answer.status == 413
    assert "100,000 bytes" in answer.json["error"]
    # Without a length: HTTP/1.1 in chunks.
    assert server.predict(iter([bytes(50_000)] * 10)).status == 413


def test_limits_of_pixels(serve: Serve, encoded: Encoded, model: Any) -> None:
    server = serve(Limits(pixels=10_000))
    assert server.predict(encoded(100, 100)).status == 200
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        answer = server.predict(encoded(101, 100, kind=kind))
        assert answer.status == 413, kind
        assert "101x100 is more than 10,000 pixels" in answer.json["error"]
    assert model.batches == [1]
    # A header of 100,000x100,000 pixels is enough to be refused.
    huge = bytearray(encoded(9, 9, kind="BMP"))
    huge[18:26] = (100_000).to_bytes(4, "little") * 2
    assert server.predict(bytes(huge)).status == 413


def test_a_full_queue_refuses_at_once(serve: Serve, encoded: Encoded, model: Any) -> None:
    model.release.clear()
    server = serve(Limits(queue=3, batch_size=1))
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.predict, encoded(9, 9)) for _ in range(3)]
        until(server, b"boxwright_queue_images 3.0")
        refused = server.predict(encoded(9, 9))
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert "queue of 3" in refused.json["error"]
        model.release.set()
        assert [each.result().status for each in waiting] == [200, 200, 200]
    assert server.predict(encoded(9, 9)).status == 200
    assert b"boxwright_queue_images 0.0" in server.get("/metrics").body


def test_a_slow_client_loses_its_place(serve: Serve, encoded: Encoded) -> None:
    server = serve(Limits(queue=1, body_seconds=0.2))
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc")
        response = http.client.HTTPResponse(slow)
        response.begin()
        assert response.status == 408
        assert "0.2 s" in json.loads(response.read())["error"]
    assert server.predict(encoded(9, 9)).status == 200


def test_concurrent_requests_share_batches(serve: Serve, encoded: Encoded, toy: Any) -> None:
    """Every answer is of the image of its request: the score is its gray level, and the size is its size."""
    model = toy(score=0.0, seconds=0.05)
    server = serve(Limits(batch_size=16, batch_wait=0.05), model)
    images = [(40 + number, 20 + number % 7, 4 * number) for number in range(60)]
    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda image: server.predict(encoded(*image)), images))
    for (width, height, level), answer in zip(images, answers, strict=True):
        assert answer.status == 200
        found = answer.json
        assert (found["width"], found["height"]) == (width, height)
        assert found["detections"][0]["score"] == pytest.approx(level / 255, abs=1e-4)
        assert found["detections"][0]["box"] == [1.25, 2.5, width, height]
    assert sum(model.batches) == 60
    assert max(model.batches) <= 16
    assert len(model.batches) <= 30
    assert b"boxwright_images_total 60.0" in server.get("/metrics").body


def test_a_lone_request_waits_no_longer_than_the_deadline(serve: Serve, encoded: Encoded, model: Any) -> None:
    server = serve(Limits(batch_size=16, batch_wait=0.2))
    assert [server.predict(encoded(9, 9)).status for _ in range(2)] == [200, 200]
    assert model.batches == [1, 1]
    full = serve(Limits(batch_size=4, batch_wait=3600))
    with ThreadPoolExecutor(4) as pool:  # a full batch does not wait for the deadline
        assert [each.status for each in pool.map(full.predict, [encoded(9, 9)] * 4)] == [200] * 4
    assert model.batches == [1, 1, 4]


def test_a_model_that_fails(serve: Serve, encoded: Encoded, model: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    model.fail = RunError("the device /dev/secret is gone", "")
    answer = server.predict(encoded(9, 9))
    assert answer.status == 500
    assert answer.json == {"error": "the model failed", "remedy": "see the messages of the server"}
    assert "the device /dev/secret is gone" in caplog.text
    model.fail = None
    assert server.predict(encoded(9, 9)).status == 200


@pytest.mark.parametrize("wrong", [None, StopIteration()])
def test_a_model_that_returns_something_else(serve: Serve, encoded: Encoded, toy: Any, wrong: Any) -> None:
    class Strange(toy):  # type: ignore[misc]
        is_strange = True

        def predict(self, samples: Any, **options: Any) -> Any:
            if not self.is_strange:
                return super().predict(samples, **options)
            if wrong is not None:
                raise wrong
            return [wrong for _ in samples]

    model = Strange()
    server = serve(other=model)
    assert server.predict(encoded(9, 9)).json["error"] == "the model failed"
    model.is_strange = False
    assert server.predict(encoded(9, 9)).status == 200


def test_an_error_about_a_file_of_the_model_is_not_one_of_the_image(serve: Serve, encoded: Encoded, model: Any) -> None:
    server = serve()
    model.fail = DataError("/srv/secret/label_map.pbtxt", "it is gone", "restore it")
    answer = server.predict(encoded(9, 9))
    assert (answer.status, answer.json["error"]) == (500, "the model failed")
    model.fail = DataError("image", "it is damaged", "replace it")
    answer = server.predict(encoded(9, 9))
    assert (answer.status, answer.json["error"]) == (422, "image: it is damaged")


def test_an_error_of_the_server_is_json_and_has_the_headers(
    serve: Serve, encoded: Encoded, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "score_of", lambda *_: 1 / 0)
        answer = server.predict(encoded(9, 9))
    assert answer.status == 500
    assert answer.json == {"error": "the server failed", "remedy": "see the messages of the server"}
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert caplog.text.count("ZeroDivisionError") == 1


def test_a_client_that_leaves_costs_nobody_anything(
    serve: Serve, encoded: Encoded, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server, data = serve(Limits(queue=3, batch_size=1)), encoded(9, 9)
    model.release.clear()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    leaving = []
    for number in range(3):
        leaving.append(socket.create_connection(("127.0.0.1", server.port)))
        leaving[-1].sendall(head + data)
        until(server, f"boxwright_queue_images {number + 1}.0".encode())
    for gone in leaving:
        gone.close()
    # While the model still works on the first image, nobody waits.
    until(server, b"boxwright_queue_images 0.0")
    model.release.set()
    assert server.predict(data).status == 200
    assert model.batches == [1, 1]
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(head + data[:9])
    until(server, b'path="/predict",status="499"} 5.0')
    assert server.predict(data).status == 200
    assert caplog.text == ""


def test_without_the_token_nothing_is_said_of_the_model(serve: Serve, encoded: Encoded) -> None:
    server = serve(token=TOKEN)
    for headers in ({}, {"Authorization": TOKEN}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer é"}):
        answer = server.ask("POST", "/predict", encoded(9, 9), {k: v.encode() for k, v in headers.items()})
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/metrics", "/model", "/v2", "/v2/models/toy", "/nothing"):
            assert server.ask("GET", path, None, {k: v.encode() for k, v in headers.items()}).status == 401, path
    for path in ("/", "/page.js", "/page.css", "/healthz", "/openapi.json", "/v2/health/live", "/v2/health/ready"):
        answer = server.get(path)
        assert answer.status == 200
        assert b"noon" not in answer.body
        assert b"toy" not in answer.body
        assert TOKEN.encode() not in answer.body
    assert server.ask("POST", "/predict", encoded(9, 9), BEARER).status == 200
    assert server.get("/metrics", **BEARER).status == 200
    assert server.get("/healthz", Host="models.example").status == 200
    assert server.get("/openapi.json").json["security"] == [{"token": []}]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:8000", 200),
        ("rebound.example", 403),
        ("127.0.0.1.example", 403),
        ("localhost@evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_names_of_other_machines_are_refused_without_a_token(serve: Serve, host: str, status: int) -> None:
    assert serve().get("/healthz", Host=host).status == status


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://[", "http://localhost", "http://127.0.0.1:1"]
)
def test_pages_of_other_origins_are_refused(serve: Serve, encoded: Encoded, token: str, origin: str) -> None:
    server = serve(token=token)
    headers = BEARER | {"Origin": origin}
    assert server.ask("POST", "/predict", encoded(9, 9), headers).status == 403
    own = BEARER | {"Origin": f"http://127.0.0.1:{server.port}"}
    answer = server.ask("POST", "/predict", encoded(9, 9), own)
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("host", "status"), [("models.example", 200), ("127.0.0.1:8000", 403)])
def test_behind_a_proxy_with_tls(serve: Serve, encoded: Encoded, host: str, status: int) -> None:
    """A proxy must pass on the host: nginx sends the address of the server unless `Host` is set."""
    headers = BEARER | {"Origin": "https://models.example", "Host": host}
    assert serve(token=TOKEN).ask("POST", "/predict", encoded(9, 9), headers).status == status


def test_other_machines_need_a_token() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_access(host, "")
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(UsageError, match="token"):
            check_access(host, "")
        check_access(host, TOKEN)
    for short in ("password1", "x" * 15, "with a space in it", "ключ-от-квартиры"):
        with pytest.raises(UsageError, match="16 printable") as caught:
            check_access("0.0.0.0", short)
        assert short not in str(caught.value)


def test_a_port_in_use_names_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}: Address already in use") as caught:
            bound_socket("127.0.0.1", port)
        assert "--port 0" in caught.value.remedy
    with bound_socket("127.0.0.1", 0) as other, pytest.raises(UsageError, match="already in use"):
        bound_socket("127.0.0.1", other.getsockname()[1])  # while the other server loads its model
    with pytest.raises(UsageError, match="unknown"):
        bound_socket("no-such-host.invalid", 0)
    with bound_socket("127.0.0.1", 0) as found:
        assert address_of(found, "::1") == f"http://[::1]:{found.getsockname()[1]}"


def test_metrics_can_be_parsed_by_prometheus(serve: Serve, encoded: Encoded) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    server = serve()
    server.predict(encoded(9, 9, 204))
    server.predict(b"hello")
    server.get("/v2/models/another")
    server.get("/no/such/path/12345")
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert samples["boxwright_requests_total", "/predict", "200"] == 1
    assert samples["boxwright_requests_total", "/predict", "415"] == 1
    assert samples["boxwright_requests_total", "/v2/models/{name}", "404"] == 1
    assert samples["boxwright_requests_total", "404", "other"] == 1
    assert samples["boxwright_detections_total", "noon"] == 1
    assert samples["boxwright_images_total",] == 1
    assert samples["boxwright_model_info", "toy"] == 1
    assert samples["boxwright_queue_limit_images",] == 64


def test_the_description_is_valid(serve: Serve) -> None:
    validate = pytest.importorskip("openapi_spec_validator").validate
    document = serve().get("/openapi.json").json
    validate(document)
    forms = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(forms) == {"application/octet-stream", "multipart/form-data", "application/json"}
    assert {"413", "415", "422", "429", "503"} <= set(document["paths"]["/predict"]["post"]["responses"])
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    for content in (infer["requestBody"]["content"], infer["responses"]["200"]["content"]):
        assert set(content) == {"application/json", "application/octet-stream"}
        assert content["application/json"]["schema"]["required"]
    assert set(document["paths"]["/v2/models/{name}"]["get"]["responses"]) == {"200", "default"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_unknown_paths_and_methods(serve: Serve) -> None:
    server = serve()
    assert server.get("/docs").status == 404
    assert server.get("/../../etc/passwd").status == 404
    for path in ("/", "/healthz", "/v2"):
        answer = server.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
    answer = server.get("/predict")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json["remedy"] == "see /openapi.json"


def test_json_of_many_values_is_refused_before_it_is_parsed(serve: Serve) -> None:
    """Each empty list takes 56 bytes and a pointer, and 3 bytes of text."""
    server = serve()
    for values in (b"[],", b"{},", b"0,"):
        many = values * 100_000
        answer = server.predict(b'{"image": [' + many[:-1] + b"]}", Content_Type="application/json")
        assert (answer.status, answer.json["error"]) == (413, "the JSON has more than 10,000 values")


def test_half_of_a_surrogate_pair(serve: Serve) -> None:
    """JSON can contain it as an escape (RFC 8259, section 8.2), and UTF-8 cannot."""
    answer = serve().predict(b'{"image": "", "score": "\\ud800"}', Content_Type="application/json")
    assert (answer.status, answer.json["error"]) == (400, "the score is ?")


def test_an_image_with_two_headers_is_limited_by_the_size_that_is_decoded(serve: Serve, encoded: Encoded) -> None:
    large = encoded(101, 100)
    twice = encoded(9, 9)[:33] + large[8:]
    answer = serve(Limits(pixels=10_000)).predict(twice)
    assert (answer.status, answer.json["error"]) == (413, "image: 101x100 is more than 10,000 pixels")


def test_the_application_in_another_one(server_of: Any, encoded: Encoded, model: Any) -> None:
    """Which does not start it: the frameworks do not start what is mounted."""
    outer = Starlette(routes=[Mount("/detector", create_app(model, name="toy", token=TOKEN))])
    with server_of(outer) as server:
        for path in ("/", "/page.js", "/healthz"):
            assert server.get(f"/detector{path}").status == 200
        assert server.get("/detector/model").status == 401
        answer = server.ask("POST", "/detector/predict", encoded(9, 9), BEARER)
        assert (answer.status, answer.json["width"]) == (200, 9)


def test_an_application_can_be_started_again(server_of: Any, encoded: Encoded, model: Any) -> None:
    app = create_app(model)
    for _ in range(2):
        with server_of(app) as server:
            assert server.predict(encoded(9, 9)).status == 200


def test_requests_that_take_too_long_at_the_end_are_refused(
    server_of: Any, encoded: Encoded, model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "_SHUTDOWN_SECONDS", 0)
    monkeypatch.setattr(serving, "gc", Mock())  # what is set is for a process
    caplog.set_level("CRITICAL", "uvicorn.error")
    model.release.clear()
    servers: list[Any] = []  # tests/test_cli_serve.py sends signals, to a separate process
    server = serving._Server
    monkeypatch.setattr(serving, "_Server", lambda *given: servers.append(server(*given)) or servers[0])
    with bound_socket("127.0.0.1", 0) as bound, ThreadPoolExecutor(4) as pool:
        app = create_app(model, limits=Limits(batch_size=1))
        client = server_of(app, bound.getsockname()[1])

        def ask() -> list[int]:
            try:
                waiting = [pool.submit(client.predict, encoded(9, 9)) for _ in range(3)]
                until(client, b"boxwright_queue_images 3.0")
                servers[0].should_exit = True
                return [each.result().status for each in waiting]
            finally:
                model.release.set()

        asked: list[Any] = []
        assert serving.run(app, bound, lambda: asked.append(pool.submit(ask))) == 3
        assert asked[0].result() == [503] * 3
    assert model.batches == [1]  # what waited is dropped
    assert caplog.text == ""


def test_requests_in_progress_are_finished_at_the_end(serve: Serve, encoded: Encoded, model: Any) -> None:
    server = serve(Limits(batch_size=2))
    model.release.clear()
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(server.predict, encoded(9, 9)) for _ in range(6)]
        until(server, b"boxwright_queue_images 6.0")
        server.server.should_exit = True
        threading.Timer(0.2, model.release.set).start()
        assert [each.result().status for each in waiting] == [200] * 6
    server.thread.join(20)
    with pytest.raises(ConnectionRefusedError):
        server.predict(encoded(9, 9))
