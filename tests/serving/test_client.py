"""What comes of servers that answer badly, hostile ones among them; of good ones in test_predictor.py."""

import contextlib
import gzip
import io
import itertools
import json
import re
import socket
import struct
import threading
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from kerascnn.errors import InputError, InputRejected
from kerascnn.saved_model.signatures import Tensor
from kerascnn.serving import client
from kerascnn.serving.predictor import load_predictor
from tests.http_server import columns, served

GOOD = {"class_name": ["3", "4"], "score": [0.5, 1.0], "valid": [True, True]}
IMAGES = [b"one", b"two"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_encoded_images_are_sent_as_base64_columns_and_come_back_typed():
    with served(columns(**GOOD)) as (address, requests):
        answer = load_predictor(address).call("predict_bytes", [b"\x00\xff", b"abc"])
    assert requests == [{"signature_name": "predict_bytes", "inputs": [{"b64": "AP8="}, {"b64": "YWJj"}]}]
    assert answer["score"].dtype == np.float32
    assert answer["class_name"].dtype.kind == "U"
    assert answer["valid"].dtype == bool
    assert {name: array.tolist() for name, array in answer.items()} == GOOD


def test_numbers_are_sent_as_nested_lists_and_a_lone_output_gets_its_name():
    said = {"embed": ({"image": Tensor("uint8", (None, 2, 1))}, {"embedding": Tensor("float64", (None, 2))})}
    with served(b'{"outputs": [[0.25, 3]]}', said) as (address, requests):
        answer = load_predictor(f"{address}/").call("embed", np.full((1, 2, 1), 7, np.uint8))
    assert requests[0]["inputs"] == [[[7], [7]]]
    assert answer["embedding"].dtype == np.float64
    np.testing.assert_array_equal(answer["embedding"], [[0.25, 3]])


def test_bytes_come_back_from_base64():
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, {"png_bytes": Tensor("string", (None,))})}
    with served(b'{"outputs": [{"b64": "AAD/AA=="}, {"b64": ""}]}', said) as (address, _):
        answer = load_predictor(address).call("predict_bytes", IMAGES)
    assert answer["png_bytes"].tolist() == [b"\0\0\xff\0", b""]


@pytest.mark.parametrize(
    "place",
    [
        "ftp://127.0.0.1/v1/models/a",
        "http:///v1/models/a",
        "http://host:port/v1/models/a",
        "http://127.0.0.1:8501",
        "http://127.0.0.1:8501/v1/models/",
        "http://127.0.0.1:8501/v1/models/a:predict",
        "http://127.0.0.1:8501/v1/models/a?x=1",
        "http://127.0.0.1:8501/v1/models/a/version/1",
    ],
)
def test_an_address_that_is_none_says_how_to_write_it(place):
    words = "is no address of a served model; write it as http://127.0.0.1:8501/v1/models/digits$"
    with pytest.raises(InputError, match=words):
        load_predictor(place)


@pytest.mark.parametrize(
    ("host", "reason"), [("a b", "can't contain control characters"), ("a..b", "label"), ("x" * 70, "label")]
)
def test_a_host_that_cannot_be_one_is_not_reached(host, reason):
    with pytest.raises(InputError, match=rf"^cannot reach http://{host}/v1/models/a/metadata \(.*{reason}"):
        load_predictor(f"http://{host}/v1/models/a")


def nobody():
    """host:port where nobody listens."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{port.getsockname()[1]}"


def test_nobody_there_is_one_line():
    address = f"http://{nobody()}/v1/models/digits"
    words = rf"^cannot reach {address}/metadata \(.*refused\); start the server, or correct the address$"
    with pytest.raises(InputError, match=words):
        load_predictor(address)


def test_the_proxy_that_is_in_the_way_is_named(monkeypatch):
    proxy = nobody()
    monkeypatch.setenv("http_proxy", f"http://user:secret@{proxy}")
    words = rf"/metadata through the proxy {proxy} \(.*\); start the server, .*, or set no_proxy=10.1.2.3 to go around"
    with pytest.raises(InputError, match=words) as error:
        load_predictor("http://10.1.2.3:8501/v1/models/digits")
    assert "secret" not in str(error.value)


def test_a_proxy_passes_requests_on_and_its_own_errors_name_it(monkeypatch):
    with served(columns(**GOOD)) as (address, requests):
        proxy = address.removeprefix("http://").split("/")[0]
        monkeypatch.setenv("http_proxy", proxy)
        assert load_predictor("http://10.1.2.3:8501/v1/models/digits").predict(IMAGES)["valid"].all()
        assert len(requests) == 1
    with served(b"<html>Bad Gateway", status=502) as (address, _):
        proxy = address.removeprefix("http://").split("/")[0]
        monkeypatch.setenv("http_proxy", proxy)
        predictor = load_predictor("http://10.1.2.3:8501/v1/models/digits")
        with pytest.raises(InputError, match=rf":predict through the proxy {proxy} answered 502 \(Bad Gateway\); corr"):
            predictor.predict(IMAGES)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert load_predictor(address).name == address


def test_a_proxy_is_asked_for_a_tunnel_to_https(monkeypatch):
    with served(b"") as (address, _):
        proxy = address.removeprefix("http://").split("/")[0]
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        # the server there knows no CONNECT
        with pytest.raises(InputError, match=rf"through the proxy {proxy} \(Tunnel connection failed: 501 Unsupported"):
            load_predictor("https://10.1.2.3/v1/models/digits")


def test_an_absent_model_is_named():
    with served(b'{"error": "Servable not found for request: Latest(digits)"}', status=404) as (address, _):
        words = r"digits:predict is not there \(Servable not found for request: Latest\(digits\)\); serve that model or"
        with pytest.raises(InputError, match=words):
            load_predictor(address).predict(IMAGES)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            500,
            b'{"error": "two\\nlines \\u001b[31m"}',
            r"answered 500 \(two\\nlines \\x1b\[31m\); correct the input or",
        ),
        (503, b"[" * 100_000, r"answered 503 \(Service Unavailable\)"),
        (302, b"", r"answered 302 \(Found\)"),
        (500, b'{"error": ' + json.dumps("x" * 10**6).encode() + b"}", r"answered 500 \(x{500}\); correct"),
    ],
)
def test_an_error_is_passed_on_in_one_printable_line(status, body, words):
    with served(body, status=status) as (address, _), pytest.raises(InputError, match=words):
        load_predictor(address).predict(IMAGES)


NO_SERVER = "is no TensorFlow Serving REST server: it {}; correct the address"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>", "answers with no JSON"),
        (b"", "answers with no JSON"),
        (b"\xff\xfe\xfd", "answers with no JSON"),
        (b'{"outputs": ' + b"9" * 5000 + b"}", "answers with no JSON"),
        (b"[]", "answers without outputs"),
        (b'{"predictions": []}', "answers without outputs"),
        (b'{"outputs": ' + b"[" * 100_000, "answers with JSON nested too deep"),
        (b'{"outputs": null}', "answers without the outputs' names"),
        (b'{"outputs": 5}', "answers without the outputs' names"),
        (b'{"outputs": [1, 2]}', "answers without the outputs' names"),
    ],
)
def test_another_kind_of_server_is_recognised(body, what):
    with served(body) as (address, _), pytest.raises(InputError, match=NO_SERVER.format(what)):
        load_predictor(address).predict(IMAGES)


@pytest.mark.parametrize(
    "said",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"metadata": {"signature_def": {"signature_def": []}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": 1}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": {}, "outputs": {"x": []}}}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"outputs": {"x": {"dtype": [], '
        b'"tensor_shape": {}}}}}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"outputs": {"x": {"dtype": "DT_FLOAT", '
        b'"tensor_shape": {"dim": [{"size": Infinity}]}}}}}}}}',
    ],
)
def test_a_server_without_metadata_is_recognised(said):
    with served(b"", said) as (address, _), pytest.raises(InputError, match=NO_SERVER.format("tells no signatures")):
        load_predictor(address)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"score": None}, "with null as score, which is float32"),
        ({"score": [0.5, None]}, "with null as score, which is float32"),
        ({"score": 0.5}, r"score of shape \(\) for 2 inputs, not float32 \(any,\)"),
        ({"score": [0.5]}, r"score of shape \(1,\) for 2 inputs, not float32 \(any,\)"),
        ({"score": [0.5, 1, 1]}, r"score of shape \(3,\) for 2 inputs"),
        ({"score": [[0.5], [1]]}, r"score of shape \(2, 1\) for 2 inputs"),
        ({"score": json.loads("[" * 63 + "1" + "]" * 63)}, "with lists nested 63 deep as score"),
        ({"score": [[0.5], 1]}, "with lists of unequal length as score"),
        ({"score": ["high", 1]}, "with a string as score, which is float32"),
        ({"score": [True, 0.5]}, "with a boolean as score, which is float32"),
        ({"score": [{}, 0.5]}, "with an object as score, which is float32"),
        ({"score": [10**400, 1]}, "with a number beyond the range of float32 as score"),
        ({"score": [1e300, 1]}, "score with numbers that are not finite"),
        ({"score": [float("nan"), 1]}, "score with numbers that are not finite"),
        ({"score": [float("-inf"), 1]}, "score with numbers that are not finite"),
        ({"valid": [1, 1]}, "with a number as valid, which is bool"),
        ({"class_name": [3, 4]}, "with a number as class_name, which is string"),
        ({"class_name": [{"b64": "AA=="}, "4"]}, "with an object as class_name, which is string"),
        ({"class_name": ["x" * 10**6, "4"]}, "with a text of 1,000,000 characters as class_name"),
        ({"class_name": ["\ud800", "4"]}, r"with half a character, '\\ud800', as class_name"),
        ({"class_name": []}, r"class_name of shape \(0,\) for 2 inputs"),
    ],
)
def test_an_answer_that_is_not_what_the_metadata_say_is_an_error(changed, words):
    with served(columns(**{**GOOD, **changed})) as (address, _):
        words = f"^{address} answers {words}.*; serve our export there, or correct the address$"
        with pytest.raises(InputError, match=words) as error:
            load_predictor(address).predict(IMAGES)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "tensors",
    [
        {"score": Tensor("float32", (None, 10**30))},
        {"score": Tensor("float32", (1,) * 20_000)},
        {"score" * 1000: Tensor("float32", (None,))},
    ],
    ids=["too large", "too many sizes", "too long a name"],
)
def test_metadata_of_tensors_that_cannot_be_are_told(tensors):
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, tensors)}
    with served(b"", said) as (address, _), pytest.raises(InputError, match="tells no signatures"):
        load_predictor(address)


def test_what_is_not_asked_for_gives_no_answer_more_room(monkeypatch):
    monkeypatch.setattr(client, "MOST_BYTES", 2**16)
    outputs = {"score": Tensor("float32", (None,)), "mask": Tensor("uint8", (None, None, None, 1))}
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, outputs)}
    photo = io.BytesIO()
    Image.new("L", (3000, 3000)).save(photo, "PNG")
    with served(columns(score=[1], mask=[[[]] * 10**5]), said) as (address, _):
        predictor = load_predictor(address)
        predictor.require("predict_bytes", {"score": Tensor("float32", (None,))})
        with pytest.raises(InputRejected, match="answers with more than 0.1 MiB"):
            predictor.predict(photo.getvalue())


def test_a_busy_server_is_asked_later():
    def busy(_, handler):
        handler.send_error(503)

    with served(busy) as (address, _), pytest.raises(InputError, match=r"answered 503 \(.*\); try again later$"):
        load_predictor(address).predict(IMAGES)


@pytest.mark.parametrize("proxy", ["http://host:port", "http://[::1", "http://", "http://:7777", "socks5://host:1"])
def test_a_proxy_that_can_be_none_is_named(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(InputError, match=f"^http_proxy is {re.escape(proxy)}, which is no address of a proxy; write"):
        load_predictor("http://10.1.2.3/v1/models/a")


def test_an_image_beyond_what_any_model_decodes_is_not_sent():
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (5100).to_bytes(4) * 2 + bytes(100)
    with served(columns(**GOOD)) as (address, requests):
        load_predictor(address).predict([header, b"two"])
    assert [item["b64"] for item in requests[-1]["inputs"]] == ["", "dHdv"]


def test_absent_outputs_are_named():
    with (
        served(columns(valid=[True, True])) as (address, _),
        pytest.raises(InputError, match="digits answers without class_name, score; serve our export there"),
    ):
        load_predictor(address).predict(IMAGES)


@pytest.mark.parametrize("cell", ['"AA=="', '{"b64": "A"}', '{"b64": 1}', "{}"])
def test_bytes_that_are_no_base64_are_an_error(cell):
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, {"png_bytes": Tensor("string", (None,))})}
    with served(f'{{"outputs": [{cell}]}}'.encode(), said) as (address, _):
        predictor = load_predictor(address)
        with pytest.raises(InputError, match="png_bytes.*; serve our export there"):
            predictor.predict(b"")


@pytest.mark.parametrize("value", [-1, 256, 2**80])
def test_whole_numbers_beyond_their_type_are_an_error(value):
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, {"level": Tensor("uint8", (None,))})}
    with served(json.dumps({"outputs": [value]}).encode(), said) as (address, _):
        predictor = load_predictor(address)
        with pytest.raises(InputError, match=r"answers with a number beyond the range of uint8 as level; serve"):
            predictor.predict(b"")


# Each writes to the file of a socket until it is closed, slowly or at once.
HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "a body of a byte now and then": (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "a body without an end": (HEAD + b"\r\n", b" "),
    "headers of a byte now and then": (HEAD + b"X: ", b"x"),
    "headers without an end": (HEAD, b"X: x\r\n"),
    "one to be continued": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": (b"", b""),
}


@pytest.mark.parametrize(("start", "more"), SLOW.values(), ids=SLOW)
def test_a_server_that_takes_its_time_is_given_up(start, more):
    def slowly(_, handler):
        handler.wfile.write(start)
        for _ in range(1000):
            handler.wfile.write(more)
            time.sleep(0.02)

    with served(slowly) as (address, _):
        predictor = load_predictor(address, timeout=0.4)
        began = time.monotonic()
        words = "digits:predict gave no whole answer within 0.4 s; restart it, or give it a longer timeout$"
        with pytest.raises(InputError, match=words):
            predictor.predict(IMAGES)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("head", [HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"])
def test_an_endless_answer_is_given_up(head, monkeypatch):
    monkeypatch.setattr(client, "MOST_BYTES", 2**20)
    sent = []

    def endless(_, handler):
        handler.wfile.write(head)
        for block in itertools.repeat(b"10000\r\n" + b" " * 65536 + b"\r\n"):
            handler.wfile.write(block)
            sent.append(len(block))

    with served(endless) as (address, _):
        words = "cannot predict inputs.0.: .*digits:predict answers with more than 1.0 MiB; ask for less at a time$"
        with pytest.raises(InputRejected, match=words):
            load_predictor(address).predict(b"one")
    assert sum(sent) < 2**25


# Each is within the limit of bytes; as Python's objects, or as one array, it would take many times as much.
BOMBS = {
    "empty lists": b'{"outputs": {"score": [' + b"[]," * 120_000 + b"[]]}}",
    "empty objects": b'{"outputs": {"score": [' + b"{}," * 120_000 + b"{}]}}",
    "objects of one value": b'{"outputs": {"score": [' + b'{"":0},' * 52_000 + b"0]}}",
    "lists of one list": b'{"outputs": {"score": [' + b"[[]]," * 77_000 + b"[]]}}",
    "numbers": b'{"outputs": {"score": [' + b"1e9," * 95_000 + b"0]}}",
    "one long text among short ones": b'{"outputs": {"class_name": [' + b'"",' * 120_000 + b'"%s"]}}' % (b"x" * 10_000),
    "letters of four bytes": b'{"outputs": "' + "\N{GRINNING FACE}".encode() + b"x" * 380_000 + b'"}',
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_an_answer_takes_little_memory_whatever_is_in_it(body, monkeypatch):
    monkeypatch.setattr(client, "MOST_BYTES", client.MOST_BYTES // 8)  # as much less, for the sake of time
    monkeypatch.setattr(client, "MOST_TEXT", client.MOST_TEXT // 8)
    assert 0.7 * client.MOST_BYTES < len(body) < client.MOST_BYTES + 2000
    with served(body) as (address, _):
        predictor = load_predictor(address)
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="; (serve our export there|correct the address)"):
                predictor.predict(b"one")
            assert tracemalloc.get_traced_memory()[1] < 200 * 2**20 / 8
        finally:
            tracemalloc.stop()


def test_a_compressed_bomb_is_no_json():
    bomb = gzip.compress(b'{"outputs": [' + b" " * 10**7)

    def compressed(_, handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    with (
        served(compressed) as (address, _),
        pytest.raises(InputError, match=NO_SERVER.format("answers with no JSON")),
    ):
        load_predictor(address).predict(b"one")


def test_a_redirection_is_not_followed():
    def elsewhere(_, handler):
        handler.send_response(307)
        handler.send_header("Location", handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with served(elsewhere) as (address, requests):
        with pytest.raises(InputError, match=r"answered 307 \(Temporary Redirect\); correct the input or the address$"):
            load_predictor(address).predict(b"one")
        assert len(requests) == 1


def test_masks_may_be_as_long_as_their_image_is_large(monkeypatch):
    monkeypatch.setattr(client, "MOST_BYTES", 0)
    monkeypatch.setattr(client, "MOST_BYTES_OF_ROW", 0)
    encoded = io.BytesIO()
    Image.new("L", (64, 50)).save(encoded, "PNG")
    said = {
        "predict_bytes": ({"image_bytes": Tensor("string", (None,))}, {"mask": Tensor("uint8", (None,) * 3 + (1,))})
    }
    mask = np.zeros((1, 50, 64, 1), int)
    body = json.dumps({"outputs": mask.tolist()}).encode()
    assert len(body) > client.MOST_TIMES * 2 * len(encoded.getvalue())
    with served(body, said) as (address, _):
        monkeypatch.setattr(client.ServedModel._asked, "__defaults__", (None, client.TIMEOUT, 2**20))
        predictor = load_predictor(address)
        np.testing.assert_array_equal(predictor.predict(encoded.getvalue())["mask"], mask)
        with pytest.raises(InputRejected, match="ask for less at a time"):
            predictor.predict(b"no image")


@pytest.mark.parametrize("said", [b"<html><h1>Blocked by policy</h1>", b'{"error": "blocked"}', b"[" * 100_000])
def test_a_proxy_that_answers_itself_is_named(said, monkeypatch):
    with served(b"", said) as (address, _):
        proxy = address.removeprefix("http://").split("/")[0]
        monkeypatch.setenv("http_proxy", proxy)
        words = (
            rf"^http://10.1.2.3/v1/models/a through the proxy {proxy} is no .*; correct the address, or set no_proxy"
        )
        with pytest.raises(InputError, match=words):
            load_predictor("http://10.1.2.3/v1/models/a")


def test_a_proxy_that_opens_a_tunnel_without_an_end_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            with listener.accept()[0] as proxy, contextlib.suppress(OSError):
                proxy.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(200):
                    proxy.sendall(b"x")
                    time.sleep(0.02)

        threading.Thread(target=drip, daemon=True).start()
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(InputError, match="gave no whole answer within 0.3 s"):
            load_predictor("https://10.1.2.3/v1/models/a", timeout=0.3)


@pytest.mark.parametrize("slow", ["getaddrinfo", "create_connection"])
def test_a_host_whose_name_or_address_is_silent_is_given_up(slow, monkeypatch):
    """No name server or address here is silent: that of the test is."""
    monkeypatch.setattr(socket, slow, lambda *_, **__: time.sleep(1))
    began = time.monotonic()
    with pytest.raises(InputError, match=r"^http://digits/v1/models/a/metadata gave no whole answer within 0.2 s"):
        load_predictor("http://digits/v1/models/a", timeout=0.2)
    assert time.monotonic() - began < 0.9


BROKEN = {
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot reach"),
    "escape codes": (b"\x1b[31m\r\n\r\n", r"cannot reach .* \(\\x1b\[31m"),
    "nothing": (b"", r"cannot reach .* \(Remote end closed connection without response\); start the server"),
    "a status of sixty thousand letters": (b"HTTP/1.1 " + b"x" * 60_000 + b"\r\n\r\n", r"cannot reach .{,600}$"),
    "a hundred headers": (HEAD + b"X: x\r\n" * 200 + b"\r\n", r"cannot reach .* \(got more than 100 headers\)"),
    "a header without an end": (HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n", r"\(got more than 65536 bytes when"),
    "half a body": (HEAD + b"Content-Length: 100\r\n\r\n{}", r"cannot reach .* \(IncompleteRead"),
    "half a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}", r"cannot reach .* \(IncompleteRead"),
    "chunks of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", r"cannot reach .* \(IncompleteRead"),
    "a length that is no number": (
        HEAD + b"Content-Length: ten\r\n\r\n[]",
        NO_SERVER.format("answers without outputs"),
    ),
    "a length below nothing": (HEAD + b"Content-Length: -1\r\n\r\n[]", NO_SERVER.format("answers without outputs")),
}


@pytest.mark.parametrize(("sent", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_http_is_an_error_of_one_line(sent, words):
    def answer(_, handler):
        handler.wfile.write(sent)

    with served(answer) as (address, _), pytest.raises(InputError, match=words) as error:
        load_predictor(address).predict(b"one")
    assert str(error.value).isprintable()


def test_a_server_that_hangs_up_on_a_large_request_is_told_apart():
    def hang_up(_, handler):
        # zero seconds to linger: the connection is reset at once
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    with served(hang_up) as (address, _):
        predictor = load_predictor(address)
        with pytest.raises(InputRejected, match=r"hung up on 10\.\d MiB; send less or raise its max_request_mib"):
            predictor.predict([bytes(10 * 2**20 * 3 // 4)])


def test_nothing_is_left_waiting_after_an_answer():
    before = threading.active_count()
    with served(columns(**GOOD)) as (address, _):
        load_predictor(address).predict(IMAGES)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_random_bytes_in_an_answer_end_in_an_error_of_one_line():
    rng = np.random.default_rng(0)
    whole = columns(**GOOD)

    def damaged(*_):
        body = bytearray(whole)
        for place in rng.integers(0, len(body), rng.integers(1, 4)):
            body[place] = rng.integers(256)
        return bytes(body)

    with served(damaged) as (address, _):
        predictor = load_predictor(address)
        for _ in range(200):
            with contextlib.suppress(InputError):
                predictor.predict(IMAGES)
