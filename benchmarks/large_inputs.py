"""Whether the largest ImageNet-size network of each family trains an epoch on photos in this machine's memory.

    python benchmarks/large_inputs.py PHOTOS [--names vgg19_bn --names senet154]

Each runs as the command `python -m apps.images train --data PHOTOS --auto-batch --epochs 1`, at the network's own image
size and batches of 64, which --auto-batch makes smaller where they do not fit. One JSON line on stdout: of each network
the batch size and the number of batches that make an update, seconds, and the peak memory of the whole process, in MiB
and as a share of the machine's.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cyclopts import App

from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result

# the largest of each family, and the side of its images
NETWORKS = {
    "alexnet": 227,
    "zfnet": 224,
    "vgg19_bn": 224,
    "googlenet_aux": 224,
    "inception_v4": 299,
    "resnet152": 224,
    "senet154": 224,
}

app = App(help=__doc__, result_action="return_value")


@app.default
def main(photos: Path, *, names: tuple[str, ...] = tuple(NETWORKS)):
    import psutil
    from machine import machine

    memory, found = psutil.virtual_memory().total / 2**20, {}
    for name in names:
        with tempfile.TemporaryDirectory() as out:
            flags = ["--image-size", NETWORKS[name], "--batch-size", 64, "--learning-rate", 0.01, "--epochs", 1]
            command = [sys.executable, "-m", "apps.images", "train", "--model", name, "--data", photos.resolve()]
            command += [*flags, "--warmup-epochs", 0, "--auto-batch", "--out", out]
            subprocess.run([str(part) for part in command], cwd=ROOT, stdout=sys.stderr, check=True)
            record = json.loads((Path(out) / "recipe.json").read_text())
        training = record["recipe"]["training"]
        found[name] = {
            **{key: training[key] for key in ("batch_size", "accumulate")},
            **{key: record[key] for key in ("peak_memory_mib", "training_seconds")},
            "of_all_memory": round(record["peak_memory_mib"] / memory, 2),
        }
        note(f"{name}: {found[name]}")
    examples = record["data"]["examples"]
    result({"memory_mib": round(memory), "photos": examples, "networks": found, **machine()})


if __name__ == "__main__":
    run(app)
