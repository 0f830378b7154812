"""One HTTP request whose answer is limited in bytes and in time, whatever the server does; of Python's own client.

As urllib does, it goes through the proxy that http_proxy, https_proxy and no_proxy name; redirections are not followed.
"""

import base64
import contextlib
import http.client
import json
import queue
import socket
import threading
import time
import urllib.parse
import urllib.request
from typing import NamedTuple

from kerascnn.errors import InputError, InputRejected, printable, shortened

LARGE = 2**20  # bytes of a request that may have been too much for who hangs up on it


class Route(NamedTuple):
    """How to reach an address: a connection, what to ask it for, and the headers for that.

    words: the address and the proxy before it. remedy: how to go around that proxy, empty where there is none.
    """

    connection: http.client.HTTPConnection
    target: str
    headers: dict[str, str]
    words: str
    remedy: str


def fetch(address, body, timeout, most_bytes):
    """The bytes that the address answers to GET, or to POST where `body` is not None, within `timeout` seconds.

    Raises InputRejected where the server does not take the body (400, 413, or it hangs up on it) or its answer has more
    than most_bytes, InputError where it answers otherwise than 200, not in time, or not at all.
    """
    words, remedy = address, ""
    try:
        route = route_to(address, timeout)
        words, remedy = route.words, route.remedy
        status, reason, content = exchange(route, body, timeout, most_bytes)
    except TimeoutError:
        raise InputError(
            f"{words} gave no whole answer within {timeout:g} s; restart it, or give it a longer timeout{remedy}"
        ) from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if body and len(body) > LARGE and isinstance(error, BrokenPipeError | ConnectionResetError):
            size = f"{len(body) / 2**20:.1f} MiB"
            raise InputRejected(f"{words} hung up on {size}; send less or raise its max_request_mib{remedy}") from None
        reason = shortened(str(error) or type(error).__name__)
        raise InputError(f"cannot reach {words} ({reason}); start the server, or correct the address{remedy}") from None
    if content is None:
        raise InputRejected(f"{words} answers with more than {most_bytes / 2**20:.1f} MiB; ask for less at a time")
    if status == 200:
        return content
    reason = shortened(error_in(content) or reason)
    if status == 404:
        raise InputError(f"{words} is not there ({reason}); serve that model or correct the address{remedy}")
    if status in (429, 503):
        raise InputError(f"{words} answered {status} ({reason}); try again later{remedy}")
    kind = InputRejected if status in (400, 413) else InputError
    raise kind(f"{words} answered {status} ({reason}); correct the input or the address{remedy}")


def route_to(address, timeout):
    """The Route to an address.

    Raises http.client.InvalidURL or UnicodeError where its host cannot be one, InputError where the proxy cannot.
    """
    parts = urllib.parse.urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target, headers = parts.path, {"Content-Type": "application/json"}
    proxy = None if urllib.request.proxy_bypass(parts.netloc) else urllib.request.getproxies().get(parts.scheme)
    if not proxy:
        return Route(kind(parts.hostname, parts.port, timeout=timeout), target, headers, address, "")
    try:
        via = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if via.scheme not in ("http", "https") or not via.hostname or via.port == 0:
            raise ValueError
    except ValueError:
        words = f"{parts.scheme}_proxy is {printable(proxy)}, which is no address of a proxy"
        raise InputError(f"{words}; write one as http://127.0.0.1:3128, or set no_proxy={parts.hostname}") from None
    login = {}
    if via.username:
        pair = f"{urllib.parse.unquote(via.username)}:{urllib.parse.unquote(via.password or '')}"
        login = {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    connection = kind(via.hostname, via.port, timeout=timeout)
    if parts.scheme == "https":
        connection.set_tunnel(parts.hostname, parts.port, login)
    else:
        target, headers = address, headers | login
    words = f"{address} through the proxy {via.hostname}:{connection.port}"
    return Route(connection, target, headers, words, f", or set no_proxy={parts.hostname} to go around the proxy")


def exchange(route, body, timeout, most_bytes):
    """(status, reason, bytes, or None where these are more than most_bytes) of one request over a Route.

    Raises TimeoutError where that is not done after `timeout` seconds, OSError or http.client.HTTPException.
    """
    connection, sockets, ended = route.connection, [], queue.SimpleQueue()
    ends = time.monotonic() + timeout

    def ask():
        try:
            with contextlib.closing(connection):
                connection.connect()
                sockets.append(connection.sock)  # http.client forgets that of an answer without a length
                if time.monotonic() >= ends:  # there was none to shut down yet
                    return
                connection.request("GET" if body is None else "POST", route.target, body, route.headers)
                with connection.getresponse() as response:
                    content = limited(response, most_bytes)
            ended.put((response.status, response.reason, content))
        except Exception as error:
            ended.put(error)

    # http.client waits anew for every byte and every address of a host, and for the host's name without a limit
    threading.Thread(target=ask, daemon=True).start()
    try:
        outcome = ended.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError from None
    finally:
        shut_down(*sockets or [connection.sock])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def shut_down(connected):
    """End whatever waits for a socket; None where there is none yet."""
    with contextlib.suppress(OSError, AttributeError):  # the other side may have ended it
        connected.shutdown(socket.SHUT_RDWR)


def limited(response, most_bytes):
    """The bytes of a response, None where these are more than most_bytes. Raises http.client.IncompleteRead."""
    content = bytearray()
    while chunk := response.read1(2**16):
        content += chunk
        if len(content) > most_bytes:
            return None
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return bytes(content)


def error_in(content):
    """The text that TensorFlow Serving answers with an error, None where there is none."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        return str(json.loads(content)["error"])
