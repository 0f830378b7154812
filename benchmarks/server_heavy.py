"""How long a small request to the embedded server waits beside heavy and hostile ones.

    python benchmarks/server_heavy.py [--seconds 20]

Beside each kind of heavy request, of which four clients send one after the other for some seconds, one client asks
`predict_bytes` of the digits for one PNG at a time. Target: the slowest one takes at most 1 s. One JSON line on stdout.
"""

import base64
import contextlib
import gzip
import http.client
import json
import re
import socket
import struct
import subprocess
import sys
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
from kerascnn.tensorflow_setup import load_tensorflow

CLIENTS = 4

app = App(help=__doc__, result_action="return_value")


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def of_bytes(*contents, **others):
    """The bytes of a request for encoded images."""
    encoded = [{"b64": base64.b64encode(content).decode()} for content in contents]
    return json.dumps({"signature_name": "predict_bytes", "instances": encoded, **others}).encode()


def kinds():
    """{kind of request: (model, bytes of its body, headers)}."""
    photo = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    flat = png(np.zeros((5000, 5000), np.uint8))
    spoilt = flat[:33] + struct.pack(">I", 4) + b"tEXt" + b"a\0bc" + bytes(4) + flat[33:]
    numbers = json.dumps({"instances": np.full((4, 1000, 1000, 1), 200).tolist()}).encode()
    return {
        "16 MiB of JSON numbers": ("digits", numbers, {}),
        "such, and damaged at its end": ("digits", numbers[:-9], {}),
        "1,024 images": ("digits", of_bytes(*[png(drawn(1, 0).images[0])] * 1024), {}),
        "three images of 25 million pixels": ("digits", of_bytes(*[flat] * 3), {}),
        "eight such whose header Pillow refuses": ("digits", of_bytes(*[spoilt] * 8), {}),
        "a mask of a million pixels": ("tumors", of_bytes(png(photo)), {}),
        "a mask of a million pixels as PNG": ("tumors", of_bytes(png(photo), output_filter=["mask_png_bytes"]), {}),
        "a gzip bomb": ("digits", gzip.compress(bytes(2**30)), {"Content-Encoding": "gzip"}),
        "a gzip stream with padding": ("digits", gzip.compress(b"{}") + bytes(2**20), {"Content-Encoding": "gzip"}),
        "a body in tiny chunks": ("digits", None, {}),
    }


def ask(address, model, body, headers):
    """Send one request; what the server answers is not looked at. A body of None comes in tiny chunks."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        if body is None:
            host, port = address.split(":")
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                head = f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.sendall(head.encode() + b"1\r\n \r\n" * 50_000)
                while connection.recv(2**16):
                    pass
            return
        with contextlib.closing(http.client.HTTPConnection(address, timeout=600)) as connection:
            connection.request("POST", f"/v1/models/{model}:predict", body, headers)
            connection.getresponse().read()


def slowest(address, small, heavy, seconds):
    """Figures of the small request beside four clients that send the heavy one."""
    ends = time.monotonic() + seconds

    def send():
        while time.monotonic() < ends:
            ask(address, *heavy)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    times, wrong = [], 0
    with contextlib.closing(http.client.HTTPConnection(address, timeout=600)) as connection:
        while time.monotonic() < ends:
            start = time.perf_counter()
            connection.request("POST", "/v1/models/digits:predict", small)
            response = connection.getresponse()
            wrong += response.status != 200 or not json.load(response)["predictions"][0]["valid"]
            times.append(time.perf_counter() - start)
    for thread in threads:
        thread.join()
    return {
        "small_requests": len(times),
        "median_s": round(float(np.median(times)), 3),
        "slowest_s": round(max(times), 2),
        "wrong": wrong,
    }


@app.default
def main(*, seconds: float = 20):
    command = [sys.executable, "-m", "kerascnn.serving.server", "--port", "0", "--deadline", "5"]
    small, figures = of_bytes(png(drawn(1, 0).images[0])), {}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = re.search(r"at http://(\S+)", server.stderr.readline()).group(1)
            threading.Thread(target=server.stderr.read, daemon=True).start()
            for _ in range(20):
                ask(address, "digits", small, {})
            for kind, heavy in kinds().items():
                figures[kind] = slowest(address, small, heavy, seconds)
                note(f"{kind}: {figures[kind]}")
        finally:
            server.terminate()
    load_tensorflow()
    from machine import machine

    result({"beside": figures, **machine()})


if __name__ == "__main__":
    run(app)
