"""What the signatures of a model take and answer, as a SavedModel or the metadata of a server say it."""

from typing import NamedTuple

# by TensorFlow's name of a type, the one that NumPy has for it; text stays TensorFlow's `string`
DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BOOL": "bool", "DT_STRING": "string"}
MOST_SIZES, LARGEST_SIZE = 16, 2**31  # of a tensor that a server speaks of
MOST_LETTERS = 200  # of a name there
DTYPES |= {f"DT_{kind.upper()}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}


class Tensor(NamedTuple):
    """dtype: a value of DTYPES. shape: sizes, None for any size; None alone for any number of them."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self):
        if self.shape is None:
            return self.dtype
        sizes = ["any" if size is None else str(size) for size in self.shape]
        return f"{self.dtype} ({', '.join(sizes)}{',' * (len(sizes) == 1)})"

    def row(self):
        """The Tensor of one of its rows."""
        return self._replace(shape=self.shape and self.shape[1:])

    def is_of_pixels(self):
        """Whether an output of this Tensor may have a value for each pixel of an image."""
        return self.shape is None or len(self.shape) > 2 and None in self.shape[1:]

    def describes(self, other):
        """Whether another Tensor has its dtype and number of sizes, and those that it says."""
        return self.dtype == other.dtype and None not in (self.shape, other.shape) and self.fits(other.shape)

    def fits(self, shape):
        """Whether an array, or a Tensor, of the sizes `shape` can be one of these."""
        if self.shape is None or shape is None:
            return True
        pairs = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(None in pair or pair[0] == pair[1] for pair in pairs)


class Signature(NamedTuple):
    """A signature with one input, called `name`, which is of the Tensor `input`; outputs: {name: Tensor}."""

    name: str
    input: Tensor
    outputs: dict[str, Tensor]


def signatures_of(functions):
    """{name: Signature} of the signatures with one input among those that tf.saved_model.load gives."""
    return with_one_input({name: tensors_of(function) for name, function in functions.items()})


def tensors_of(function):
    """({input name: Tensor}, {output name: Tensor}) of a signature that tf.saved_model.load gives."""

    def tensors(specs):
        return {
            name: Tensor(spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape.as_list()))
            for name, spec in sorted(specs.items())
        }

    return tensors(function.structured_input_signature[1]), tensors(function.structured_outputs)


def signatures_in(metadata):
    """{name: Signature} of the signatures with one input in TensorFlow Serving's GetModelMetadataResponse as JSON.

    Those with types that NumPy lacks are left out. Raises AttributeError, KeyError, TypeError, ValueError or
    OverflowError where it is none.
    """

    def tensors(infos):
        found = {}
        for name, info in sorted(infos.items()):
            sizes = [int(dim["size"]) for dim in info["tensor_shape"].get("dim", ())]
            if len(sizes) > MOST_SIZES or max(sizes, default=0) > LARGEST_SIZE or len(name) > MOST_LETTERS:
                raise ValueError("no tensor of a model that could be used")
            shape = tuple(None if size < 0 else size for size in sizes)
            found[name] = Tensor(DTYPES.get(info["dtype"]), None if info["tensor_shape"].get("unknown_rank") else shape)
        return found

    definitions = metadata["metadata"]["signature_def"]["signature_def"]
    pairs = {name: (tensors(each.get("inputs", {})), tensors(each["outputs"])) for name, each in definitions.items()}
    known = {name: (i, o) for name, (i, o) in pairs.items() if all(each.dtype for each in (*i.values(), *o.values()))}
    return with_one_input(known)


def with_one_input(pairs):
    """{name: Signature} of those pairs, by name, of {input name: Tensor} and {output name: Tensor} with one input."""
    return {
        name: Signature(*next(iter(inputs.items())), outputs)
        for name, (inputs, outputs) in pairs.items()
        if len(inputs) == 1
    }
