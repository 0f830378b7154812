"""The published script airbench94_muon.py on the same two cores as cifar_fast: seconds to 94 % on CIFAR-10.

    python benchmarks/airbench94_muon.py airbench94_muon.py

The script is that of https://github.com/KellerJordan/cifar10-airbench, 8 epochs and 94.01 % in the mean of 200 runs on
a GPU. It is run by PyTorch as it is, once, but for what needs a GPU: on the CPU, float32 in place of half precision,
not compiled, and with images of ours. Its clock is its own, which covers training and the evaluation over six views and
leaves out that of each epoch. `ours` is the median run of benchmarks/results/cifar_fast.json, on the same processor,
with the precision that kc.fit chooses there. stdout: one JSON object.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from contenders import TORCH_PYTHON, two_idle_cores
from cyclopts import App

from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result
from kerascnn.errors import InputError
from kerascnn.files import read_json
from kerascnn.provenance import hardware
from kerascnn.tensorflow_setup import load_tensorflow

# torchvision is used for its Normalize alone where the images are there
STAND_INS = """
import time
import numpy as np

class Clock:
    def record(self):
        self.at = time.perf_counter()
    def elapsed_time(self, later):
        return 1000 * (later.at - self.at)

class T:
    class Normalize:
        def __init__(self, mean, std):
            self.mean, self.std = mean[:, None, None], std[:, None, None]
        def __call__(self, images):
            return (images - self.mean) / self.std

torch.set_num_threads(2)
for split in ("train", "test"):
    stored = np.load(f"cifar10/{split}.npz")
    parts = {"images": torch.tensor(stored["images"]), "labels": torch.tensor(stored["labels"]).long()}
    torch.save({**parts, "classes": None}, f"cifar10/{split}.pt")
"""
PATCHES = {
    "import torchvision\nimport torchvision.transforms as T\n": STAND_INS,
    "@torch.compile\n": "",
    "G.bfloat16()": "G.float()",
    ".half()": ".float()",
    'torch.device("cuda")': 'torch.device("cpu")',
    "torch.cuda.Event(enable_timing=True)": "Clock()",
    "torch.cuda.synchronize()": "None",
    "CifarNet().cuda()": "CifarNet()",
    '    model.compile(mode="max-autotune")\n': "",
    '    main("warmup", model)\n': "",
    "range(200)": "range(1)",
}

app = App(help=__doc__, result_action="return_value")


def patched(text, script):
    """The text of the script with each of PATCHES; raises InputError where it is another one."""
    for old, new in PATCHES.items():
        if old not in text:
            raise InputError(f"{script} has no {old.strip()!r}; take the one of cifar10-airbench at 096d14d")
        text = text.replace(old, new)
    return text


@app.default
def main(script: Path):
    text = patched(script.read_text(encoding="utf-8"), script)
    runs = read_json(ROOT / "benchmarks" / "results" / "cifar_fast.json")["runs"]
    if others := {run["hardware"] for run in runs} - {hardware()}:
        raise InputError(f"cifar_fast.json was measured on {others.pop()}; run benchmarks/cifar_fast.py here first")
    load = two_idle_cores()
    load_tensorflow()
    import numpy as np
    from machine import machine

    from kerascnn.classification.data import load_images

    data = load_images("cifar10", None, validation=False)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "cifar10").mkdir()
        for name in ("train", "test"):
            split = getattr(data, name)
            np.savez(place / "cifar10" / f"{name}.npz", images=split.images, labels=split.labels)
        (place / "script.py").write_text(text, encoding="utf-8")
        command = [str(TORCH_PYTHON), "-u", "script.py"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            rows = []
            for line in process.stdout:
                note(line.rstrip())
                rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        if process.returncode:
            sys.exit(f"{script} failed; its words stand above")
    accuracy, seconds = next(map(float, row[4:]) for row in rows if row[1:2] == ["eval"])
    median = sorted(runs, key=lambda each: each["seconds"])[len(runs) // 2]
    ours = {name: median[name] for name in ("accuracy", "seconds")}
    figures = {"accuracy": accuracy, "seconds": round(seconds, 1), "ours": ours}
    ratio = round(ours["seconds"] / seconds, 2)
    result({**figures, "ours_over_theirs": ratio, "load_before": load, **machine()})


if __name__ == "__main__":
    run(app)
