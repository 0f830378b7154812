"""The models in a folder, each in numbered versions: found, loaded, and noticed when they change.

A version is loaded by `tf.saved_model.load` alone. The highest one that loads is served by default and is loaded before
it takes the place of the one before; others are loaded when first asked for.
"""

import logging
import threading

from kerascnn.errors import InputError
from kerascnn.saved_model import versions as saved_model
from kerascnn.saved_model.signatures import tensors_of
from kerascnn.serving.json_tensors import RequestError

logger = logging.getLogger(__name__)

# HTTP status by TensorFlow's error code, as TensorFlow Serving's http_server.cc has it; 500 for the rest.
STATUSES = {1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503, 16: 401}


class Version:
    """One version folder. `functions` is None until it is loaded, `error` says why it cannot be.

    functions: {signature name: what tf.saved_model.load gives for it}. tensors: {signature name: ({input name: Tensor},
    {output name: Tensor})}. definitions: {signature name: what the SavedModel says of it, JSON types}.
    """

    def __init__(self, path):
        self.path, self.stamp, self.number = path, last_change(path), int(path.name)
        self.functions = self.tensors = self.definitions = self.error = None
        self._lock = threading.Lock()

    def load(self):
        """Load the signatures unless that was tried before; whether they are there."""
        with self._lock:
            if self.functions is None and self.error is None:
                try:
                    functions = saved_model.load_signatures(self.path)
                    self.tensors = {name: tensors_of(function) for name, function in functions.items()}
                    self.definitions = signature_definitions(self.path)
                    self.functions = functions
                except InputError as error:
                    self.error = str(error)
                except Exception:
                    # Whatever is wrong with one folder must not end the service of the others.
                    self.error = f"{self.path} cannot be loaded"
                    logger.exception(self.error)
        return self.functions is not None


class Repository:
    """The versions of every model in a folder. Children without a numbered SavedModel are passed over.

    So are those that cannot be read, which is logged once; what was read of them before stays.
    """

    def __init__(self, folder):
        """Raises InputError when the folder holds no model."""
        self.folder, self.models, self.unread = folder, {}, set()
        if not self._found():
            remedy = "export a model into it first, or name another folder"
            if any(folder.glob("[0-9]*/saved_model.pb")):
                remedy = f"it is a model itself; name the folder that it is in, {folder.absolute().parent}"
            raise InputError(f"no exported model in {folder}; {remedy}")

    def refresh(self):
        """Take up versions that are new or changed on disk and drop those that are gone.

        The default one stays, even where it is gone, as long as versions are there of which none can be loaded.

        Returns [(name, version)] of the versions that are new as default.
        """
        before, found = self.models, self._found()
        models = {name: versions for name, versions in before.items() if name in self.unread}
        for name, versions in found.items():
            # what failed anew comes before what is still served of the same path
            known = {version.path: version for version in reversed(before.get(name, ()))}
            models[name] = [
                known[new.path] if new.path in known and known[new.path].stamp == new.stamp else new for new in versions
            ]
            if not any(version.load() for version in models[name]) and (served := self.default(name)):
                models[name].append(served)
        # One assignment, so that a request meanwhile sees either the old state or the new.
        self.models = models
        defaults = [(name, self.default(name)) for name in models]
        return [(name, version) for name, version in defaults if version and version not in before.get(name, ())]

    def default(self, name):
        """The highest version of a model that could be loaded, or None."""
        return next((version for version in self.models.get(name, ()) if version.functions is not None), None)

    def version(self, name, number=None):
        """The version that a request means: the default, or the one with a number, which may have to be loaded first.

        Raises RequestError where there is none, or it cannot be loaded.
        """
        if number is None:
            found = [self.default(name)]
        else:
            found = [version for version in self.models.get(name, ()) if version.number == number]
            found.sort(key=lambda version: version.error is not None)
        if not found or not found[0] or found[0].error:
            which = f"Latest({name[:100]})" if number is None else f"Specific({name[:100]}, {number})"
            raise RequestError(f"Servable not found for request: {which}", 404)
        return found[0]

    def _found(self):
        """{model name: its versions on disk, not loaded, highest first}; `unread` gets names of others."""
        found, unread = {}, set()
        for child in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            try:
                paths = saved_model.versions(child)
            except PermissionError:
                unread.add(child.name)
                continue
            if paths:
                found[child.name] = [Version(path) for path in reversed(paths)]
        for name in sorted(unread - self.unread):
            logger.warning("cannot read %s, and pass it over", self.folder / name)
        self.unread = unread
        return found


def signature_definitions(version):
    """{signature name: its SignatureDef as TensorFlow Serving writes it, JSON types} of a version folder."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return {
        key: MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        for key, value in message.meta_graphs[0].signature_def.items()
    }


def last_change(folder):
    """When anything in a folder last changed; 0 while files come and go, or cannot be read."""
    try:
        return max((path.stat().st_mtime_ns for path in folder.rglob("*")), default=0)
    except (FileNotFoundError, PermissionError):
        return 0


def call(function, arrays, names):
    """{output name: array}, those in `names`, of a loaded signature on {input name: array}.

    Raises RequestError where it rejects them.
    """
    import tensorflow as tf

    try:
        specs = function.structured_input_signature[1]
        answer = function(**{name: tf.constant(array, specs[name].dtype) for name, array in arrays.items()})
        return {name: saved_model.array_of(answer[name]) for name in names}
    except tf.errors.OpError as error:
        raise RequestError(saved_model.reason(error), STATUSES.get(error.error_code, 500)) from None
