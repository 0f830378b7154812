"""What the embedded server refuses, each time in one line that names the flag, and whom it lets in meanwhile.

What TensorFlow Serving's source answers stands beside each case: http_server.cc, evhttp_request.cc, json_tensor.cc.
"""

import base64
import concurrent.futures
import contextlib
import gzip
import http.client
import io
import json
import socket
import struct
import time

import psutil
import pytest
import tensorflow as tf
from PIL import Image

from tests.http_server import embedded_server

PREDICT = "/v1/models/tiny:predict"
FLAGS = {"--max-request-mib": 4, "--max-images": 40, "--max-image-megapixels": 1, "--max-megapixels": 2}
FLAGS |= {"--max-answer-megapixels": 1, "--max-waiting": 6, "--send-timeout": 3, "--deadline": 1}


class Tiny(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def lengths(self, image_bytes):
        return {"length": tf.strings.length(image_bytes)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def masks(self, image_bytes):
        count = tf.shape(image_bytes)[0]
        mask = tf.zeros([count, 2, 2, 1], tf.uint8)
        large = tf.cast(tf.reduce_any(image_bytes == "large"), tf.int32)
        enlarged = tf.zeros([count, 2 + 2000 * large, 2 + 2000 * large, 1], tf.uint8)
        return {"mask": mask, "enlarged": enlarged, "mask_png_bytes": image_bytes}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def large(self, image_bytes):
        return {"text": tf.repeat(tf.strings.reduce_join(tf.repeat("a", 2**20))[tf.newaxis], tf.size(image_bytes))}

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, name="x")])
    def total(self, x):
        return {"total": tf.reduce_sum(x, 1)}

    @tf.function(input_signature=[tf.TensorSpec((None, None, None), tf.uint8, name="image")])
    def brightest(self, image):
        return {"brightest": tf.reduce_max(image, [1, 2])}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float64, name="seconds")])
    def slow(self, seconds):
        ends = tf.timestamp() + seconds[0]
        while tf.timestamp() < ends:
            pass
        return {"waited": seconds}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    models, module = tmp_path_factory.mktemp("models"), Tiny()
    names = ("lengths", "masks", "total", "brightest", "slow", "large")
    tf.saved_model.save(module, str(models / "tiny" / "1"), {name: getattr(module, name) for name in names})
    flags = [f"{name}={value}" for name, value in FLAGS.items()]
    with embedded_server(models, *flags) as server:
        yield server.removeprefix("http://")


def asked(address, body, method="POST", path=PREDICT, **headers):
    """(HTTP status, JSON answer or None, headers) for bytes, or a JSON value."""
    with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None, response.headers


def of(signature, *values, **others):
    values = [{"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value for value in values]
    return {"signature_name": signature, "inputs": values, **others}


def png(height, width):
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_a_compressed_body_is_inflated(address):
    # TensorFlow Serving inflates what says gzip, up to 100 MiB
    body = gzip.compress(json.dumps(of("lengths", b"abc")).encode())
    for encoding in ("gzip", "x-gzip", "GZIP"):
        assert asked(address, body, Content_Encoding=encoding)[:2] == (200, {"outputs": [3]})
    halves = gzip.compress(body[:0]) + gzip.compress(json.dumps(of("lengths", b"abc")).encode())
    assert asked(address, halves, Content_Encoding="gzip")[:2] == (200, {"outputs": [3]})


@pytest.mark.parametrize(
    ("body", "encoding", "status", "words"),
    [
        (
            gzip.compress(bytes(40 * 2**20), mtime=0),
            "gzip",
            413,
            "the request is larger than 4 MiB (--max-request-mib); send",
        ),
        (b"{}", "gzip", 400, "the body is no whole gzip stream of at most 8 members; send one"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-9], "gzip", 400, "the body is no whole gzip stream"),
        (gzip.compress(b"{}", mtime=0) + bytes(10), "gzip", 400, "the body is no whole gzip stream"),
        (gzip.compress(b"", mtime=0) * 9, "gzip", 400, "the body is no whole gzip stream"),
        (
            gzip.compress(b" " * 2**21, mtime=0)[:-4] + bytes(4),
            "gzip",
            400,
            "the body holds more than its gzip stream says",
        ),
        (b"{}", "br", 415, "Content-Encoding br is not read; send gzip, or the JSON as it is"),
    ],
)
def test_a_compressed_body_that_is_not_read_is_one_line(address, body, encoding, status, words):
    answered, answer, _ = asked(address, body, Content_Encoding=encoding)
    assert answered == status
    assert answer["error"].startswith(words)


@pytest.mark.parametrize(
    ("path", "method"), [(PREDICT, "POST"), ("/v1/models/tiny", "GET"), ("/v1/models/tiny/versions/1/metadata", "GET")]
)
def test_options_are_answered_with_what_is_allowed(address, path, method):
    # as TensorFlow Serving's do without --rest_api_enable_cors_support, pages of other hosts are told nothing
    status, answer, headers = asked(address, b"", "OPTIONS", path, Origin="http://a.b")
    assert (status, answer, headers["Allow"]) == (200, None, f"{method}, OPTIONS")
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_white_space_in_base64_is_passed_over(address):
    # absl::Base64Unescape, which TensorFlow Serving decodes with, skips it
    encoded = base64.encodebytes(bytes(100)).decode().replace("\n", "\r\n \t")
    assert asked(address, {"signature_name": "lengths", "inputs": [{"b64": encoded}]})[1] == {"outputs": [100]}


@pytest.mark.parametrize(
    ("signature", "number", "words"),
    [
        # RapidJSON: "Number too big to be stored in double"
        ("total", "9" * 5000, "JSON Parse error: an integer has more than 4,300 digits"),
        ("total", "1e999", "input 'x' has a number beyond the range of float32"),
        ("total", "9" * 400, "input 'x' has a number beyond the range of float32"),
        # TensorFlow Serving: "is not of expected type: uint8"
        ("brightest", "NaN", "input 'image' takes values of type uint8, not NaN or Infinity"),
        ("brightest", "-Infinity", "input 'image' takes values of type uint8, not NaN or Infinity"),
    ],
)
def test_a_number_that_is_none_of_the_input_is_one_line_of_our_own(address, signature, number, words):
    nested = f"[[{number}]]" if signature == "total" else f"[[[{number}]]]"
    status, answer, _ = asked(address, f'{{"signature_name": "{signature}", "inputs": {nested}}}'.encode())
    assert (status, answer) == (400, {"error": words})


def test_nan_and_infinity_are_numbers_where_the_input_has_them(address):
    # RapidJSON with kParseNanAndInfFlag reads them
    status, answer, _ = asked(address, b'{"signature_name": "total", "inputs": [[Infinity, 1], [-Infinity, 0]]}')
    assert (status, answer) == (200, {"outputs": [float("inf"), float("-inf")]})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b" " * (2**22 + 1), "the request is larger than 4 MiB (--max-request-mib); send less at a time"),
        (of("lengths", *["a"] * 41), "the request has 41 images, more than 40 (--max-images); ask for less at a time"),
        (of("lengths", png(1000, 1001)), "an image has 1,001,000 pixels, more than 1 million (--max-image-megapixels)"),
        # a JPEG without a size that is understood counts as the largest one that is decoded at an eighth
        (
            of("lengths", b"\xff\xd8\xff"),
            "an image has 134,235,396 pixels, more than 1 million (--max-image-megapixels)",
        ),
        (
            of("lengths", *[png(1000, 1000)] * 2, png(1, 1)),
            "the images have 2,000,001 pixels, more than 2 million (--max-megapixels); ask for less at a time",
        ),
        (
            # each is filled up to the height of one and the width of the other
            of("masks", png(1, 2000), png(600, 1)),
            "the answer would have 2,400,000 pixels, more than 1 million (--max-answer-megapixels); ask for less at a "
            'time, or for PNG masks alone, as "output_filter": ["mask_png_bytes"]',
        ),
        (of("masks", "large"), "the answer would have 4,008,004 pixels, more than 1 million (--max-answer-megapixels)"),
    ],
)
def test_each_limit_is_named_by_its_flag(address, body, words):
    status, answer, _ = asked(address, body)
    assert status == 413
    assert answer["error"].startswith(words)


def test_masks_of_any_size_come_as_png_alone(address):
    images = png(1, 1000), png(600, 1)
    assert asked(address, of("masks", *images))[0] == 413
    status, answer, _ = asked(address, of("masks", *images, output_filter=["mask_png_bytes"]))
    assert status == 200
    assert [base64.b64decode(each["b64"]) for each in answer["outputs"]] == list(images)


def test_masks_that_are_computed_are_counted_though_they_are_not_answered(address):
    status, answer, _ = asked(address, of("masks", png(1, 2000), png(600, 1), output_filter=["mask_png_bytes"]))
    words = "the images have 2,400,000 pixels, each as large as the largest, more than 2 million (--max-megapixels)"
    assert status == 413
    assert answer["error"].startswith(words)


def test_an_image_whose_header_pillow_does_not_read_has_its_pixels_all_the_same(address):
    text = struct.pack(">I", 4) + b"tEXt" + b"a\0bc" + bytes(4)  # its checksum is wrong
    content = png(1000, 1001)
    status, answer, _ = asked(address, of("lengths", content[:33] + text + content[33:]))
    assert status == 413
    assert answer["error"].startswith("an image has 1,001,000 pixels, more than 1 million (--max-image-megapixels)")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_body_of_tiny_chunks_is_not_read_to_its_end(address, method):
    host, port = address.split(":")
    path = PREDICT if method == "POST" else "/v1/models/tiny"
    with socket.create_connection((host, int(port)), timeout=30) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        began = time.monotonic()
        for _ in range(16):
            connection.sendall(b"1\r\n \r\n" * 10_000)
        while connection.recv(4096):
            pass
    assert time.monotonic() - began < 3, "aborted before --send-timeout"


@pytest.mark.long
def test_an_answer_that_is_not_read_is_given_up_and_its_place_with_it(address):
    host, port = address.split(":")
    body = json.dumps(of("large", *["a"] * 12)).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def wait_for(status):
        ends = time.monotonic() + 20
        while asked(address, of("lengths", b"abc"))[0] != status:
            assert time.monotonic() < ends
            time.sleep(0.1)

    with contextlib.ExitStack() as opened:
        for _ in range(6):
            connection = opened.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the system keeps no answer for it
            connection.connect((host, int(port)))
            connection.sendall(head + body)
        wait_for(503)  # six answers wait to be read
        wait_for(200)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["none"], "output tensor alias not found in signature: none"),
        ("length", "'output_filter' key must be a list of strings"),
        ([1], "'output_filter' key must be a list of strings"),
    ],
)
def test_an_output_filter_that_names_no_outputs_is_one_line(address, names, words):
    assert asked(address, of("lengths", "a", output_filter=names))[:2] == (400, {"error": words})


@pytest.mark.long
def test_a_body_that_takes_too_long_is_refused_and_its_connection_closed(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"the request was not sent within 3 s (--send-timeout); send it faster, or less" in received


@pytest.mark.long
@pytest.mark.parametrize("sent", [b"", b"POST /v1/models/tiny:pred"])
def test_a_connection_on_which_no_request_comes_is_closed(address, sent):
    host, port = address.split(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=30) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        assert connection.recv(4096) == b""
    assert time.monotonic() - began < 20


@pytest.mark.long
def test_a_client_that_closes_after_its_answer_gets_it_however_long_it_takes(address):
    # urllib and many proxies ask for it; longer than --send-timeout and the second that comes on top
    status, answer, _ = asked(address, of("slow", 4.5), Connection="close")
    assert (status, answer) == (200, {"outputs": [4.5]})


def test_small_requests_are_answered_beside_a_heavy_one_and_a_second_heavy_one_waits(address):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(asked, address, of("slow", *[4.0] * 17))
        time.sleep(0.5)
        second = pool.submit(asked, address, of("slow", *[0.0] * 17))
        for _ in range(5):
            assert asked(address, of("lengths", b"abc"))[1] == {"outputs": [3]}
        assert not first.done()
        status, answer, headers = second.result()
        assert (status, headers["Retry-After"]) == (504, "1")
        assert answer["error"] == "the answering has not begun within 1 s (--deadline); try again later"
        assert not first.done()
        assert first.result()[0] == 200


def test_what_nobody_waits_for_any_more_is_not_computed(address):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(asked, address, of("slow", *[0.8] * 17))
        time.sleep(0.3)
        body = json.dumps(of("slow", *[60.0] * 17)).encode()
        with contextlib.closing(http.client.HTTPConnection(address)) as left:
            left.request("POST", PREDICT, body)
        assert first.result()[0] == 200
        assert asked(address, of("slow", *[0.0] * 17))[0] == 200


def test_one_request_too_many_is_told_to_come_again(address):
    host, port = address.split(":")
    with contextlib.ExitStack() as opened:
        for _ in range(6):  # as long as their bodies are awaited
            connection = opened.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode())
        status, answer, headers = asked(address, of("lengths", b"abc"))
        assert (status, headers["Retry-After"]) == (503, "1")
        assert answer["error"] == "as many requests wait as may, 6 (--max-waiting); try again later"
    assert asked(address, of("lengths", b"abc"))[0] == 200


def test_large_json_is_read_in_another_process_as_small_json_is_here(address):
    row = [0.5] * 100_000
    assert asked(address, of("total", row[:100]))[1] == {"outputs": [50.0]}
    assert asked(address, of("total", *[row] * 4))[1] == {"outputs": [50_000.0] * 4}
    status, answer, _ = asked(address, of("total", *[[*row, "a"]] * 4))
    assert (status, answer) == (400, {"error": "input 'x' takes values of type float32, not a string"})


@pytest.mark.long
def test_another_process_takes_the_place_of_one_that_was_ended(address):
    body = of("total", *[[0.5] * 100_000] * 4)
    assert asked(address, body)[0] == 200
    port = int(address.split(":")[1])
    (server,) = [
        each for each in psutil.Process().children() if any(c.laddr[1] == port for c in each.net_connections())
    ]
    for child in server.children():
        child.kill()
    assert asked(address, body)[0] in (200, 500)
    assert asked(address, body)[0] == 200
