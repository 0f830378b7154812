"""Whether our networks give the logits of the reference implementations when they get the same weights.

    python benchmarks/parity.py [NAME…]

The reference is created in its own process with random weights and random statistics of batch normalization; its arrays
are loaded into our builder by kerascnn.pretrained; both see the same two images in [0, 1]. Where there is no package,
the reference is a statement of the paper's table in statements.py, one for all depths of a family. A row of the table,
tab-separated, tells the network, the reference, the trainable parameters of both, the largest difference of logits
relative to the largest logit, and milliseconds per image of both, one image at a time. The last line is a JSON object.
Exit code 4 when a difference is above 1e-4.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import RequirementError, run
from kerascnn.cli.messages import result
from kerascnn.errors import UsageError
from kerascnn.model_names import check_name
from kerascnn.tensorflow_setup import load_tensorflow

LIMIT = 1e-4
REFERENCES = {
    "alexnet_2014": "torchvision:alexnet",
    **{f"vgg{n}{bn}": f"torchvision:vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")},
    "googlenet_bn": "torchvision:googlenet",
    "inception_v4": "timm:inception_v4",
    **{f"resnet{n}": f"torchvision:resnet{n}" for n in (18, 34)},
    **{f"resnet{n}_v1_5": f"torchvision:resnet{n}" for n in (50, 101, 152)},
    **{f"resnet{n}": f"keras:ResNet{n}" for n in (50, 101, 152)},
    **{f"se_resnet{n}": f"timm:legacy_seresnet{n}" for n in (50, 101, 152)},
    "senet154": "timm:legacy_senet154",
    **{
        name: f"statement:{name}"
        for name in (
            *("mlp", "simple_cnn", "five_layer_cnn", "lenet5", "lenet5_1998", "lenet_homework", "vgg_digits"),
            *("convnetjs", "airbench", "alexnet", "alexnet_one_tower", "zfnet", "vgg16c", "googlenet", "googlenet_aux"),
            *("plain18", "resnet20", "resnet20_b", "plain20", "se_resnet20", "se_resnet18"),
            *("unet", "unet_2015", "unet_dong", "unet_buda"),
        )
    },
}
# A network may have two.
MORE = {"vgg16": "keras:VGG16", "vgg19": "keras:VGG19"}


def compare(name, reference, folder):
    """The row of one network; reference and ours each run in a process, whose memory ends with it."""
    file = Path(folder) / "reference.npz"
    environment = ".venv" if reference.startswith("keras:") else ".venv-bench"
    command = [ROOT / environment / "bin" / "python", ROOT / "benchmarks" / "references.py", reference, file]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    command = [sys.executable, __file__, "ours", name, reference, file]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    file.unlink()
    return {"network": name, "reference": reference, **json.loads(ran.stdout)}


def transplant(model, arrays):
    """Put the {name: array} of a network in statements.py into `model`: each of its weights once, in the same shape."""
    from kerascnn.pretrained.conventions import Convention
    from kerascnn.pretrained.conversion import PARTS, arranged

    weights = {f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights if "seed" not in w.name}
    for name, value in arrays.items():
        module, _, part = name.rpartition(".")
        if part == "num_batches_tracked":
            continue
        layer = module.replace(".", "_")
        place = next(f"{layer}/{ours}" for ours in PARTS.get(part, (part,)) if f"{layer}/{ours}" in weights)
        value = arranged(value, model.get_layer(layer), part, Convention({}, None, channels_first=True))
        weights.pop(place).assign(value)
    if weights:
        raise ValueError(f"nothing was stated for {', '.join(weights)} of {model.name}")


app = App(help=__doc__, result_action="return_value")


@app.command(show=False)
def ours(name: str, reference: str, file: Path):
    load_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf
    from references import milliseconds

    from kerascnn.models import builder
    from kerascnn.pretrained.conversion import load_arrays

    stored = np.load(file)
    model = builder(name)(stored["x"].shape[1:])
    load = transplant if reference.startswith("statement:") else load_arrays
    load(model, {key[2:]: stored[key] for key in stored.files if key.startswith("w/")})
    graph = tf.function(lambda x: model(x, training=False))
    x = tf.constant(stored["x"])
    outputs = keras.tree.map_structure(np.asarray, graph(x))
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    expected = {key: stored[f"y/{key}"] for key in outputs}
    # nan is the largest for NumPy, for max() none
    difference = np.max([np.abs(outputs[key] - y).max() / np.abs(y).max() for key, y in expected.items()])
    result(
        {
            "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
            "reference_parameters": int(stored["parameters"]),
            "difference": float(f"{difference:.2g}"),
            "milliseconds": round(milliseconds(lambda: keras.tree.map_structure(np.asarray, graph(x[:1]))), 1),
            "reference_milliseconds": round(float(stored["milliseconds"]), 1),
        }
    )


@app.default
def main(*names: str):
    for name in names:
        check_name(name)
        if name not in REFERENCES:
            raise UsageError(f"{name} has no reference of its own; choose one of {', '.join(REFERENCES)}")
    import numpy as np

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, reference in [*REFERENCES.items(), *MORE.items()]:
            if not names or name in names:
                rows.append(compare(name, reference, folder))
                print("\t".join(str(value) for value in rows[-1].values()), flush=True)
    worst = rows[int(np.argmax([row["difference"] for row in rows]))]
    load_tensorflow()
    from kerascnn.provenance import provenance

    result(
        {"networks": len({row["network"] for row in rows}), "worst": worst["difference"], "rows": rows, **provenance()}
    )
    if not worst["difference"] <= LIMIT:
        raise RequirementError(f"{worst['network']} differs by {worst['difference']:g}, at most {LIMIT:g} is allowed")


if __name__ == "__main__":
    run(app)
