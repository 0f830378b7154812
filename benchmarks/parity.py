"""Whether our networks give the logits of the reference implementations when they get the same weights.

    python benchmarks/parity.py [NAME…]

For every network with a public reference: the reference is created in its own process with random weights and random
statistics of batch normalisation; its arrays are loaded into our builder by kerascnn.pretrained; both see the same two
images in [0, 1]. A row of the table, tab-separated, tells the network, the reference, the trainable parameters of both,
the largest difference of logits relative to the largest logit, and milliseconds per image of both, one image at a time.
The last line is a JSON object. Exit code 4 when a difference is above 1e-4 or parameters differ unexpectedly.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn import cli
from kerascnn.errors import RequirementError

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
}
# A network may have two.
MORE = {"vgg16": "keras:VGG16", "vgg19": "keras:VGG19"}


def compare(name, reference, folder):
    """The row of one network; reference and ours each run in a process, whose memory ends with it."""
    size = 299 if name == "inception_v4" else 224
    file = Path(folder) / "reference.npz"
    environment = ".venv" if reference.startswith("keras:") else ".venv-bench"
    command = [ROOT / environment / "bin" / "python", ROOT / "benchmarks" / "references.py", reference, str(size), file]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    ran = subprocess.run(
        [sys.executable, __file__, "ours", name, file], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    file.unlink()
    return {"network": name, "reference": reference, **json.loads(ran.stdout)}


app = App(help=__doc__, result_action="return_value")


@app.command(show=False)
def ours(name: str, file: Path):
    cli.load_tensorflow()
    import numpy as np
    from references import milliseconds

    from kerascnn.models import builder
    from kerascnn.pretrained import load_arrays

    stored = np.load(file)
    model = builder(name)()
    load_arrays(model, {key[2:]: stored[key] for key in stored.files if key.startswith("w/")})
    difference = np.abs(model.predict_on_batch(stored["x"]) - stored["y"]).max() / np.abs(stored["y"]).max()
    cli.result(
        {
            "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
            "reference_parameters": int(stored["parameters"]),
            "difference": float(f"{difference:.2g}"),
            "milliseconds": round(milliseconds(lambda: model.predict_on_batch(stored["x"][:1])), 1),
            "reference_milliseconds": round(float(stored["milliseconds"]), 1),
        }
    )


@app.default
def main(*names: str):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, reference in [*REFERENCES.items(), *MORE.items()]:
            if not names or name in names:
                rows.append(compare(name, reference, folder))
                print("\t".join(str(value) for value in rows[-1].values()), flush=True)
    cli.result({"rows": rows, "limit": LIMIT})
    worst = max(rows, key=lambda row: row["difference"])
    if not worst["difference"] <= LIMIT:
        raise RequirementError(f"{worst['network']} differs by {worst['difference']:g}, at most {LIMIT:g} is allowed")


if __name__ == "__main__":
    cli.run(app)
