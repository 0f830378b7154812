"""Predict requests answered: small ones at once, heavy ones in a line of their own.

A small request is read, computed and written by a thread here. A heavy one waits for its turn, and its JSON is read and
written in another process, because Python would do nothing else meanwhile. What TensorFlow computes lets other threads
go on, and cannot be stopped.
"""

from starlette.concurrency import run_in_threadpool

from kerascnn.serving.admission import Slots, WorkerQueue
from kerascnn.serving.bodies import LARGE, received
from kerascnn.serving.json_process import JsonProcess
from kerascnn.serving.json_tensors import answer_json
from kerascnn.serving.predict_request import SMALL_ANSWER, SMALL_VALUES, check_answer, predict_request
from kerascnn.serving.repository import call

THREADS = 4  # that answer small requests; Python runs one at a time, and TensorFlow has threads of its own
LARGE_SHARE = 16  # one in so many of the requests there are at a time may be large, which bounds the memory of all


class Predictions:
    """Answers to predict requests to the models in a Repository, within Limits."""

    def __init__(self, repository, limits):
        self._repository, self._limits = repository, limits
        words = f"as many requests wait as may, {limits.max_waiting:,} (--max-waiting)"
        self._slots = Slots(limits.max_waiting, words)
        large = max(1, limits.max_waiting // LARGE_SHARE)
        self._large_slots = Slots(large, f"there are {large:,} requests of more than 1 MiB (--max-waiting)")
        self._small = WorkerQueue(range(THREADS), limits.deadline)
        self._heavy = WorkerQueue([JsonProcess() for _ in range(limits.max_heavy)], limits.deadline)

    async def answer(self, request, slots):
        """The JSON that answers a request, bytes. Raises RequestError, or ClientDisconnect when nobody waits.

        slots: a contextlib.ExitStack that gets the slots that the request takes, until its answer has been read.
        """
        slots.enter_context(self._slots.taken())
        content = await received(
            request, self._limits, found_large=lambda: slots.enter_context(self._large_slots.taken())
        )
        version = await self.version(request)
        asked = outputs = None
        if len(content) <= LARGE and content.count(b",") <= SMALL_VALUES:
            async with self._small.one(request):
                asked, outputs, text = await run_in_threadpool(self._answered_here, version, content)
            if text is not None:
                return text
        async with self._heavy.one(request) as process:
            return await run_in_threadpool(self._answered_there, process, version, content, asked, outputs)

    async def version(self, request):
        """The loaded version that a request means. To load one is heavy. Raises as `answer` does."""
        version = self._repository.version(**request.path_params)
        if version.functions is None:
            async with self._heavy.one(request):
                await run_in_threadpool(version.load)
        return self._repository.version(**request.path_params) if version.error else version

    def _answered_here(self, version, content):
        """(PredictRequest, outputs, JSON) of the bytes of a small request; of a heavy one what comes last is None."""
        asked, outputs, text = predict_request(content, version.tensors, self._limits), None, None
        if not asked.heavy:
            outputs = self._outputs(version, asked)
            if max(array.size for array in outputs.values()) <= SMALL_ANSWER:
                text = answer_json(outputs, asked.row)
        return asked, outputs, text

    def _answered_there(self, process, version, content, asked, outputs):
        """The JSON that answers a heavy request. asked, outputs: what is known of it already, else None."""
        asked = asked or process.run(predict_request, content, version.tensors, self._limits)
        outputs = outputs or self._outputs(version, asked)
        return process.run(answer_json, outputs, asked.row)

    def _outputs(self, version, asked):
        outputs = call(version.functions[asked.signature], asked.arrays, asked.outputs)
        check_answer(max((array.size for array in outputs.values() if array.ndim > 2), default=0), self._limits)
        return outputs
