"""The REST client against sockets that answer badly; against the embedded server in test_deploy.py."""

import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from kerascnn.errors import InputError, InputRejected
from kerascnn.serving.client import predict


@pytest.fixture
def answering():
    """answering(status, body) -> (address, requests): a server on loopback that gives every POST the same answer."""
    servers = []

    def start(status, body):
        requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append((self.path, json.loads(content)))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_encoded_images_are_sent_as_base64_columns_and_come_back_typed(answering):
    body = {"outputs": {"score": [0.5, 1.0], "class_id": [3, 4], "class_name": ["3", "4"], "valid": [True, False]}}
    address, requests = answering(200, json.dumps(body).encode())
    answer = predict(address, "digits", [b"\x00\xff", b"abc"], "predict_bytes")
    (path, request), *rest = requests
    assert rest == []
    assert path == "/v1/models/digits:predict"
    assert request == {"signature_name": "predict_bytes", "inputs": [{"b64": "AP8="}, {"b64": "YWJj"}]}
    assert answer["score"].dtype == np.float32
    assert answer["class_id"].tolist() == [3, 4]
    assert answer["class_name"] == ["3", "4"]
    assert answer["valid"].tolist() == [True, False]


def test_images_are_sent_as_nested_numbers_and_a_lone_output_gets_its_name(answering):
    address, requests = answering(200, b'{"outputs": [[0.25, 0.75]]}')
    answer = predict(f"{address}/", "digits", np.full((1, 2, 1, 1), 7, np.uint8), "probabilities")
    assert requests[0][1]["inputs"] == [[[[7]], [[7]]]]
    np.testing.assert_array_equal(answer["probabilities"], [[0.25, 0.75]])


def test_many_inputs_go_in_several_requests(answering, monkeypatch):
    monkeypatch.setattr("kerascnn.serving.client.REQUEST_CHARACTERS", 30)
    address, requests = answering(200, b'{"outputs": [1]}')
    answer = predict(address, "digits", [b"a" * 12] * 3, "predict_bytes")
    assert len(requests) == 3
    assert answer["predict_bytes"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("server", ["127.0.0.1:8501", "ftp://host", "http://", "http://host:port", "http://host?x=1"])
def test_an_address_that_is_none_says_how_to_write_it(server):
    with pytest.raises(InputError, match=r"is no address of a server; write it as http://127.0.0.1:8501"):
        predict(server, "digits", [b""])


def test_nobody_there_is_one_line():
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{port.getsockname()[1]}"
    with pytest.raises(
        InputError, match=rf"cannot reach {address}/v1/models/digits:predict .*; start the server, or correct"
    ):
        predict(address, "digits", [b""])


def test_an_absent_model_is_named(answering):
    address, _ = answering(404, b'{"error": "Servable not found for request: Latest(digits)"}')
    with pytest.raises(
        InputError, match=r"digits:predict is not there \(Servable not found for request: Latest\(digits"
    ):
        predict(address, "digits", [b""])


def test_an_error_is_passed_on_in_one_line(answering):
    address, _ = answering(400, b'{"error": "two\\nlines"}')
    with pytest.raises(InputError, match=r"answered 400 \(two lines\); correct the input or the address"):
        predict(address, "digits", [b""])


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"predictions": []}', b""])
def test_another_kind_of_server_is_recognised(answering, body):
    address, _ = answering(200, body)
    with pytest.raises(InputError, match="is no TensorFlow Serving REST server; correct the address"):
        predict(address, "digits", [b""])


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match=r"cannot reach .* \(no answer within 0.2 s\)"):
            predict(address, "digits", [b""], timeout=0.2)


def test_a_server_that_hangs_up_on_a_large_request_is_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up():
            accepted, _ = listening.accept()
            accepted.recv(1000)
            # Zero seconds to linger: the connection is reset at once.
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(InputRejected, match=r"hung up on 10\.\d MiB; send less or raise its max_request_mib"):
            predict(f"http://127.0.0.1:{listening.getsockname()[1]}", "digits", [bytes(10 * 2**20 * 3 // 4)])
        thread.join()
