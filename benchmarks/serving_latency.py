"""How long one PNG takes through `predict_bytes` of the embedded server, over REST on loopback with one connection.

    python benchmarks/serving_latency.py [--model saved_models/digits] [--requests 500]

Starts the server on the folder that holds the model. Target: median at most 5 ms. One JSON line on stdout.
"""

import base64
import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.datasets.synthetic import drawn
from kerascnn.tensorflow_setup import load_tensorflow

app = App(help=__doc__, result_action="return_value")


@app.default
def main(*, model: Path = ROOT / "saved_models" / "digits", requests: int = 500):
    model = model.resolve()
    images = [cv2.imencode(".png", image)[1].tobytes() for image in drawn(20, 0).images]
    bodies = [
        json.dumps({"signature_name": "predict_bytes", "instances": [{"b64": base64.b64encode(image).decode()}]})
        for image in images
    ]
    command = [sys.executable, "-m", "kerascnn.serving.server", "--models", str(model.parent), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = re.search(r"at http://(\S+)", server.stderr.readline()).group(1)
            connection = http.client.HTTPConnection(address, timeout=60)
            milliseconds = []
            for i in range(20 + requests):
                start = time.perf_counter()
                connection.request("POST", f"/v1/models/{model.name}:predict", bodies[i % len(bodies)])
                (answer,) = json.load(connection.getresponse())["predictions"]
                milliseconds.append(1000 * (time.perf_counter() - start))
                assert answer["valid"]
        finally:
            server.terminate()
    counted = np.array(milliseconds[20:])
    median, late = np.percentile(counted, [50, 99]).round(2)
    load_tensorflow()
    from machine import machine

    figures = {"unit": "ms", "median": float(median), "p99": float(late), "requests": requests, "warm_up": 20}
    result({**figures, **machine()})


if __name__ == "__main__":
    run(app)
