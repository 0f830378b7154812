"""What memory the embedded server has over many mixed requests, and that none of them stays.

    python benchmarks/server_memory.py [--requests 100000] [--clients 8] [--plot runs/server_memory.png]

Starts the server on the shipped models. Requests are single images and batches of all sizes, as files and as pixels, to
both models; one in three hundred is heavy, one in twenty is wrong. Memory is that of the server and of the process that
reads large JSON, every two seconds. Target: the median over the last tenth is at most 1.10 times the one after warm-up,
over the second tenth of the first 10,000. One JSON line on stdout.
"""

import base64
import gzip
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.tensorflow_setup import load_tensorflow

EVERY = 2  # seconds
DRAWN = 500  # different requests of each client

app = App(help=__doc__, result_action="return_value")


def png(rng, height, width, channels):
    image = cv2.resize(rng.integers(0, 256, (8, 8, channels), np.uint8), (width, height))
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


def drawn_request(rng):
    """(model, body, headers, the status it is to be answered with) of a request of any kind."""
    draw, (height, width) = rng.random(), rng.integers(8, 300, 2).tolist()

    def encoded(*images, **others):
        return json.dumps(
            {"signature_name": "predict_bytes", "instances": [{"b64": each} for each in images], **others}
        )

    if draw < 0.05:
        body, status = (("{", 400), ('{"instances": [[1, 2]]}', 400), (encoded("AAAA"), 200))[rng.integers(3)]
        return "digits", body, {}, status
    if draw < 0.051:
        return "digits", encoded(png(rng, 4000, 3000, 3)), {}, 200
    if draw < 0.053:
        return "digits", json.dumps({"inputs": rng.integers(0, 256, (8, 300, 300, 1)).tolist()}), {}, 200
    if draw < 0.0535:
        return "tumors", encoded(png(rng, 900, 700, 3), output_filter=["mask_png_bytes"]), {}, 200
    if draw < 0.06:
        return "tumors", encoded(png(rng, height // 2, width // 2, 3)), {}, 200
    if draw < 0.25:
        shape = (rng.integers(1, 4), height // 4, width // 4, rng.choice([1, 3]))
        return "digits", json.dumps({"instances": rng.integers(0, 256, shape).tolist()}), {}, 200
    images = [png(rng, height, width, int(rng.choice([1, 3]))) for _ in range(rng.integers(1, 5))]
    if draw < 0.35:
        return "digits", gzip.compress(encoded(*images).encode()), {"Content-Encoding": "gzip"}, 200
    return "digits", encoded(*images), {}, 200


def ask(address, seed, left, answered):
    """Ask until `left`, a list, is empty; counts of each pair of status and status to be go to the list `answered`."""
    rng, connection, counts = np.random.default_rng(seed), http.client.HTTPConnection(address, timeout=3600), {}
    requests = [drawn_request(rng) for _ in range(DRAWN)]
    while left:
        left.pop()
        model, body, headers, status = requests[rng.integers(DRAWN)]
        connection.request("POST", f"/v1/models/{model}:predict", body, headers)
        response = connection.getresponse()
        response.read()
        counts[response.status, status] = counts.get((response.status, status), 0) + 1
    answered.append(counts)


def resident(server):
    """MiB of a process and of those that it started."""
    return sum(each.memory_info().rss for each in [server, *server.children(recursive=True)]) / 2**20


def measured(address, server, requests, clients):
    """[(requests answered, MiB)] while that many are asked, and {(status, status that it was to be): count}."""
    left, answered, points = [None] * requests, [], []
    threads = [threading.Thread(target=ask, args=(address, seed, left, answered)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        points.append((requests - len(left), resident(server)))
        print(f"\r{points[-1][0]:,} of {requests:,} requests, {points[-1][1]:,.0f} MiB", end="", file=sys.stderr)
        time.sleep(EVERY)
    total = {}
    for counts in answered:
        for pair, count in counts.items():
            total[pair] = total.get(pair, 0) + count
    return points, total


def draw(points, warm, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    counts, memory = np.transpose(points)
    figure, axes = plt.subplots(figsize=(6.4, 3), layout="constrained")
    axes.axhspan(0, 1.1 * warm, color="0.93", label="at most 10 % above warm-up")
    axes.plot(counts / 1000, memory, lw=0.8, label="server and JSON process")
    axes.set(xlabel="thousand mixed requests", ylabel="resident memory (MiB)", xlim=(0, counts[-1] / 1000), ylim=0)
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


@app.default
def main(*, requests: int = 100_000, clients: int = 8, plot: Path = Path("runs/server_memory.png")):
    command = [sys.executable, "-m", "kerascnn.serving.server", "--models", "saved_models", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"at http://(\S+)", process.stderr.readline()).group(1)
            points, answered = measured(address, psutil.Process(process.pid), requests, clients)
        finally:
            process.terminate()
    wrong = {f"{got} for {right}": count for (got, right), count in answered.items() if got != right}
    counts, memory = np.transpose(points)
    first = min(requests, 10_000)
    warm = np.median(memory[(counts >= first / 10) & (counts <= first / 5)])
    last = np.median(memory[counts >= 0.9 * requests])
    draw(points, warm, plot)
    load_tensorflow()
    from kerascnn.provenance import provenance

    figures = {"requests": requests, "clients": clients, "wrong_answers": wrong, "warm_mib": round(warm)}
    figures |= {"last_mib": round(last), "most_mib": round(memory.max()), "growth": round(last / warm - 1, 3)}
    result({**figures, **provenance()})


if __name__ == "__main__":
    run(app)
