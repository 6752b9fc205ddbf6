"""Compares a served model with the same model called directly: ``python serve_load.py MODEL FOLDER``.

The model predicts the images of the folder again and again, in batches of 8, in this process and behind
``boxwright serve``, in turns. Clients are threads of this process, each with one connection. Prints one JSON object.
"""

import http.client
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import boxwright
from boxwright import ImageRef, Sample
from boxwright.images import read_header

IMAGES, CLIENTS, TURNS = 160, 16, 3

model_path, folder = sys.argv[1:]
files = [path.read_bytes() for path in sorted(Path(folder).glob("*.jpg"))]
bodies = [files[number % len(files)] for number in range(IMAGES)]
sizes = [read_header(body, "image").upright_size for body in bodies]
samples = [
    Sample(image=ImageRef(name=str(number), width=width, height=height, data=body))
    for number, (body, (width, height)) in enumerate(zip(bodies, sizes, strict=True))
]
model = boxwright.load_model(model_path)
command = [sys.executable, "-m", "boxwright_cli", "serve", model_path, "--port", "0", "--json", "--score", "0.3"]
server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
address = urlsplit(json.loads(server.stdout.readline())["address"])


def direct() -> tuple[float, float, list[int]]:
    """Returns wall seconds, CPU seconds, and the number of detections in each image."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = [len(each.above(0.3).boxes) for each in model.predict(samples, batch_size=8)]
    return time.perf_counter() - wall, time.process_time() - cpu, found


def server_cpu() -> float:
    """Returns the CPU seconds of the server."""
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(re.search(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE)[1])


def client(number: int) -> list[int]:
    """Sends each ``CLIENTS``-th image, and returns the number of detections in each."""
    connection = http.client.HTTPConnection(address.hostname, address.port)
    found = []
    for body in bodies[number::CLIENTS]:
        connection.request("POST", "/predict", body)
        response = connection.getresponse()
        content = json.loads(response.read())
        assert response.status == 200, content
        found.append(len(content["detections"]))
    connection.close()
    return found


def served() -> tuple[float, float, list[int]]:
    """The same through the server."""
    cpu, wall = server_cpu(), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = list(pool.map(client, range(CLIENTS)))
    seconds = time.perf_counter() - wall
    return seconds, server_cpu() - cpu, [parts[number % CLIENTS][number // CLIENTS] for number in range(IMAGES)]


try:
    direct()
    served()
    turns = [(direct(), served()) for _ in range(TURNS)]
finally:
    server.terminate()
    server.wait()
print(
    json.dumps(
        {
            "images": IMAGES,
            "same": all(one[2] == other[2] for one, other in turns),
            "direct": [{"images_per_s": IMAGES / wall, "cpu_ms": 1000 * cpu / IMAGES} for (wall, cpu, _), _ in turns],
            "served": [{"images_per_s": IMAGES / wall, "cpu_ms": 1000 * cpu / IMAGES} for _, (wall, cpu, _) in turns],
        }
    )
)
