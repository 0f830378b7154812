"""How many requests the embedded server answers under load, and how soon, while versions of its model come and go.

    python benchmarks/server_load.py [--model saved_models/digits] [--seconds 20]

1, 8 and 64 clients, each with a connection of its own, ask `predict_bytes` for one PNG at a time, and then for batches
of 32, for some seconds each, after 20 requests to warm up. Meanwhile a new version appears and the one before is
removed, every two seconds. Target: every answer is right. One JSON line on stdout.
"""

import base64
import contextlib
import http.client
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result
from kerascnn.datasets.synthetic import drawn
from kerascnn.saved_model.versions import latest_version
from kerascnn.tensorflow_setup import load_tensorflow

CLIENTS = 1, 8, 64
BATCHES = 1, 32  # images of a request

app = App(help=__doc__, result_action="return_value")


def ask(address, name, body, until, times, errors):
    """Ask until a time; the milliseconds of each answer go to the list `times`, what is no right answer to `errors`."""
    connection = http.client.HTTPConnection(address, timeout=3600)
    while time.monotonic() < until:
        start = time.perf_counter()
        try:
            connection.request("POST", f"/v1/models/{name}:predict", body)
            response = connection.getresponse()
            answer = json.load(response)
            if response.status != 200 or not all(each["valid"] for each in answer["predictions"]):
                errors.append(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            errors.append(repr(error))
            connection.close()
        times.append(1000 * (time.perf_counter() - start))


@contextlib.contextmanager
def versions_that_come_and_go(folder, source):
    """Copies of a version as versions of a model, of which the newest one alone stays; a list of their numbers."""
    done, numbers = threading.Event(), []

    def change():
        for number in itertools.count(2):
            shutil.copytree(source, folder / "copying")
            (folder / "copying").rename(folder / str(number))
            numbers.append(number)
            if done.wait(2):
                return
            shutil.rmtree(folder / str(number - 1))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield numbers
    finally:
        done.set()
        thread.join()


def measured(address, name, clients, batch, seconds):
    """Figures of that many clients who ask for batches of that many images."""
    images = [base64.b64encode(cv2.imencode(".png", image)[1]).decode() for image in drawn(batch, 0).images]
    body = json.dumps({"signature_name": "predict_bytes", "instances": [{"b64": image} for image in images]})
    for _ in range(20):
        ask(address, name, body, time.monotonic() + 0.001, [], [])
    times, errors, start = [], [], time.monotonic()
    arguments = address, name, body, start + seconds, times, errors
    threads = [threading.Thread(target=ask, args=arguments) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors[:5]:
        note(f"error: {error}")
    median, late = np.percentile(times, [50, 99]).round(1).tolist()
    rate = round(len(times) * batch / (time.monotonic() - start))
    return {"requests": len(times), "images_per_second": rate, "p50_ms": median, "p99_ms": late, "errors": len(errors)}


@app.default
def main(*, model: Path = ROOT / "saved_models" / "digits", seconds: float = 20):
    with tempfile.TemporaryDirectory() as models:
        folder, source = Path(models) / model.name, latest_version(model)
        shutil.copytree(source, folder / "1")
        command = [sys.executable, "-m", "kerascnn.serving.server", "--models", models, "--port", "0"]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
            try:
                address = re.search(r"at http://(\S+)", server.stderr.readline()).group(1)
                threading.Thread(target=server.stderr.read, daemon=True).start()
                with versions_that_come_and_go(folder, source) as numbers:
                    figures = {
                        f"{clients}x{batch}": measured(address, model.name, clients, batch, seconds)
                        for batch, clients in itertools.product(BATCHES, CLIENTS)
                    }
            finally:
                server.terminate()
    load_tensorflow()
    from machine import machine

    result({"clients_x_batch": figures, "new_versions": len(numbers), **machine()})


if __name__ == "__main__":
    run(app)
