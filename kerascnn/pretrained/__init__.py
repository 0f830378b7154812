"""Published weights into our networks, from a local file or by name from the Hugging Face hub.

Which networks such weights fit stands in names.py, in TORCH and KERAS. timm's legacy_seresnet18 and 34 fit none of
ours: they have a ReLU before squeeze-and-excitation, which the paper has not.
"""

from kerascnn.errors import UsageError
from kerascnn.pretrained.hub import fetch
from kerascnn.pretrained.readers import read_weights


def load_weights(model, file=None, *, statistics="auto", key=None):
    """Put published weights into `model`, a network of kerascnn.models of any input size and number of classes.

        model = kc.models.resnet50_v1_5((None, None, 3), 10)
        kc.load_weights(model, "resnet50-0676ba61.pth")  # ["logits"]: the file has 1,000 classes

    file: of torchvision, timm, keras.applications or other code with the usual names: .safetensors, .npz, .h5, and
    PyTorch's .pth, .pt, .th, .bin and .ckpt, for which PyTorch is not needed. Without it the weights of `model.name`
    come from the Hugging Face hub, their licence and checksum logged.
    statistics: what an image in [0, 1] was normalized with when the weights were trained, which the layer `normalize`
    gets: "imagenet", "cifar10", "mnist", "half" (0.5 and 0.5), "caffe" (that of keras.applications, for BGR, to which
    the first layer is turned), None for no change, or (mean, std), each a number or one a channel. By default the usual
    ones of such a file, which are logged. key: in a file of PyTorch that has several dicts of tensors, the key of the
    one to take ("state_dict_ema", "ema.shadow").

    Call it before other models are made of this one's layers: what they have traced keeps the old statistics.

    Returns the names of the layers that keep their own weights: ["logits"] where the file has another number of
    classes or no head, else []. Raises UsageError when such weights do not fit this network, or an argument makes no
    sense; InputError, before anything is changed, when the file is absent, damaged, of another network or another
    input size, or the hub cannot be reached.

    Only names and shapes can be compared: weights of a LeNet with ReLU go into lenet5, which has tanh and averages, and
    mean nothing there.
    """
    import keras  # not needed to read or fetch files

    from kerascnn.pretrained.conversion import load_arrays

    if not isinstance(model, keras.Model):
        raise UsageError(f"model is {model!r}; give a network of kerascnn.models, as resnet50()", argument="model")
    arrays = read_weights(fetch(model.name) if file is None else file, key)
    return load_arrays(model, arrays, statistics)
