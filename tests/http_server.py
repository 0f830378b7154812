"""Servers on loopback: the embedded one, and one that says of itself and answers whatever a test wants."""

import contextlib
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kerascnn.saved_model.signatures import DTYPES, Tensor

ROOT = Path(__file__).parents[1]
CLASSES = {
    "class_name": Tensor("string", (None,)),
    "score": Tensor("float32", (None,)),
    "valid": Tensor("bool", (None,)),
}
CLASSIFIER = {
    "predict_bytes": ({"image_bytes": Tensor("string", (None,))}, CLASSES),
    "serving_default": (
        {"image": Tensor("uint8", (None,) * 4)},
        {**CLASSES, "probabilities": Tensor("float32", (None, 10))},
    ),
}


@contextlib.contextmanager
def embedded_server(models, *flags):
    """http://host:port of the embedded server, in a process of its own, over a folder of models."""
    command = [sys.executable, "-m", "kerascnn.serving.server", "--models", str(models), "--port", "0", *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield re.search(r"at (http://\S+)", server.stderr.readline()).group(1)
        finally:
            server.terminate()


def metadata(signatures):
    """TensorFlow Serving's answer to GET …/metadata, of {name: ({input: Tensor}, {output: Tensor})}."""
    names = {dtype: name for name, dtype in DTYPES.items()}

    def infos(tensors):
        return {
            name: {
                "dtype": names[dtype],
                "tensor_shape": {
                    "dim": [{"size": str(-1 if size is None else size), "name": ""} for size in shape or ()],
                    "unknown_rank": shape is None,
                },
                "name": f"{name}:0",
            }
            for name, (dtype, shape) in tensors.items()
        }

    definitions = {
        name: {"inputs": infos(inputs), "outputs": infos(outputs), "method_name": "tensorflow/serving/predict"}
        for name, (inputs, outputs) in signatures.items()
    }
    said = {"@type": "type.googleapis.com/tensorflow.serving.SignatureDefMap", "signature_def": definitions}
    specification = {"name": "digits", "signature_name": "", "version": "1"}
    return json.dumps({"model_spec": specification, "metadata": {"signature_def": said}}).encode()


@contextlib.contextmanager
def served(answer, said=CLASSIFIER, status=200):
    """(the address of a model, the list of requests that came): POST is answered as `answer` has it, GET by `said`.

    answer: bytes, or a function of the request's JSON and the handler, which gives bytes or writes by itself. said:
    bytes, or what `metadata` takes.
    """
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.give(200, said if isinstance(said, bytes) else metadata(said))

        def do_POST(self):
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = answer(requests[-1], self) if callable(answer) else answer
            if body is not None:
                self.give(status, body)

        def give(self, code, body):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):  # whoever asked has hung up
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/models/digits", requests
        finally:
            server.shutdown()


def columns(**outputs):
    """The answer in column form."""
    return json.dumps({"outputs": outputs}).encode()
