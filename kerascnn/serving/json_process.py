"""Large JSON is read and written in another process: here it would hold up all threads, for as long as it takes."""

import multiprocessing
import signal

from kerascnn.serving.json_tensors import RequestError
from kerascnn.serving.memory import give_back

SECONDS = 600  # of one call; 16 MiB of JSON take four


class JsonProcess:
    """A process that calls functions for this one, a call at a time. It is started for the first call, and ends with
    this one."""

    def __init__(self):
        self._process = self._pipe = None

    def run(self, function, *arguments):
        """function(*arguments), called there; only what pickle takes. Raises what it raises.

        Raises RequestError where the process is ended meanwhile, as by the system when memory runs out, or does not
        answer in time. It is another process then that is called next: what this one still says is not listened to.
        """
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._pipe.send((function, arguments))
            if not self._pipe.poll(SECONDS):
                raise TimeoutError
            answer, error = self._pipe.recv()
        except BaseException as failure:
            self._process.kill()
            self._process.join()
            self._process = None
            if not isinstance(failure, EOFError | OSError):
                raise
            raise RequestError("the process that reads large requests was ended; send less at a time", 500) from None
        if error is not None:
            raise error
        return answer

    def _start(self):
        # a fork would copy TensorFlow's locks in whatever state they are
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=answer_calls, args=(other,), daemon=True)
        self._process.start()
        other.close()  # so that this end notices when the process ends


def answer_calls(pipe):
    """Answer what comes through a pipe, (function, arguments), by (what it returns, None) or (None, what it raises)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it, too: the server ends it
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = function(*arguments), None
        except Exception as error:
            answer = None, error
        pipe.send(answer)
        del function, arguments, answer
        give_back()
