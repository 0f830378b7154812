"""Published weights into our builders, from a local file or by name from the Hugging Face hub.

    model = pretrained("resnet50_v1_5", "resnet50-0676ba61.pth")    a file of torchvision, timm or keras.applications
    model = pretrained("resnet50_v1_5")                             fetched, where there is a network

Which networks such weights fit stands in names.py, in TORCH and KERAS. timm's legacy_seresnet18 and 34 fit none of
ours: they have a ReLU before squeeze-and-excitation, which the paper has not.
"""

from pathlib import Path

from kerascnn.model_names import check_name
from kerascnn.pretrained.hub import fetch
from kerascnn.pretrained.readers import read_weights


def pretrained(name, file=None):
    """The network `name` with its default arguments and the weights in `file`, or those published on the hub.

    Raises UsageError for an unknown network or one that such weights do not fit, InputError when the file is not there,
    damaged or of another network, or the hub cannot be reached.
    """
    check_name(name)
    arrays = read_weights(fetch(name) if file is None else Path(file))
    from kerascnn.models import builder  # loads Keras, which files are read without
    from kerascnn.pretrained.conversion import load_arrays

    model = builder(name)()
    load_arrays(model, arrays)
    return model
