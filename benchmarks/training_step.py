"""A training step on images of CIFAR-10's size beside PyTorch, eager and compiled, with the same network in one run.

    python benchmarks/training_step.py [--rounds 3] [--only NAME]

Forward, backward and an update by SGD with Nesterov momentum of one batch of random images, ours with the fused batch
normalization of kc.fit: in float32, and in bfloat16, which kc.fit chooses on processors with units for it, as PyTorch
does under autocast. Each contender runs in a process of its own on the same two cores, and the rounds are interleaved,
so that a busy machine slows all alike. Ours runs without oneDNN, too, as TensorFlow by itself does on x86 processors
without AVX512_VNNI. A figure is the median of the rounds, a round's the median of 5 steps after 2 that are not timed,
in which torch.compile compiles. PyTorch's images are channels last, which is faster for it. stdout: one JSON object;
stderr: the rounds.
"""

# Cyclopts is not in PyTorch's environment, where this runs, too.
import argparse
import json
import statistics
import sys

import numpy as np
from contenders import ROOT, measured, two_idle_cores
from network_speed import median_milliseconds

NETWORKS = {"resnet20": 128, "airbench": 500}  # images of a batch
CONTENDERS = ("ours", "without_onednn", "ours_bfloat16", "eager", "compiled", "eager_bfloat16")
PYTORCH = ("eager", "compiled", "eager_bfloat16")
COMPARED = {"ours": ("without_onednn", "eager", "compiled"), "ours_bfloat16": ("eager", "eager_bfloat16")}


def batch(size):
    """Images float32 (size, 32, 32, 3) and labels int64 (size,)."""
    draw = np.random.default_rng(0)
    return draw.random((size, 32, 32, 3), dtype=np.float32), draw.integers(0, 10, size)


def ours(name, who):
    import keras

    from kerascnn.models import builder
    from kerascnn.training.fused_normalization import fused_normalization
    from kerascnn.training.precision import computing_in, on_accelerator

    model, (images, labels) = builder(name)(), batch(NETWORKS[name])
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=on_accelerator(),
    )
    with computing_in(model, "mixed_bfloat16" if who == "ours_bfloat16" else "float32"), fused_normalization(model):
        return median_milliseconds(lambda: model.train_on_batch(images, labels))


def theirs(name, who):
    import torch
    from references import torch_model

    torch.set_num_threads(2)
    model = torch_model("statement", name)[0].train().to(memory_format=torch.channels_last)
    call = torch.compile(model) if who == "compiled" else model
    images, labels = map(torch.from_numpy, batch(NETWORKS[name]))
    images = images.permute(0, 3, 1, 2)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9, nesterov=True)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=who == "eager_bfloat16"):
            loss = torch.nn.functional.cross_entropy(call(images), labels)
        loss.backward()
        optimizer.step()

    return median_milliseconds(step)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--contender", choices=CONTENDERS, help="measure this one alone, in this process")
    options = parser.parse_args()
    if options.contender:
        name, who = options.only, options.contender
        print((theirs if who in PYTORCH else ours)(name, who))
        return
    load, rows = two_idle_cores(), {}
    for name in [options.only] if options.only else NETWORKS:
        rounds = {who: [] for who in CONTENDERS}
        for _ in range(options.rounds):
            for who, found in rounds.items():
                options_of = {"pytorch": who in PYTORCH, "onednn": who != "without_onednn"}
                found.append(float(measured(__file__, who, "--only", name, **options_of)))
        medians = {f"{who}_ms": round(statistics.median(found), 1) for who, found in rounds.items()}
        ratios = {
            f"{us}_over_{them}": round(medians[f"{us}_ms"] / medians[f"{them}_ms"], 2)
            for us, others in COMPARED.items()
            for them in others
        }
        rows[name] = {"batch_size": NETWORKS[name], **medians, **ratios}
        print(name, rows[name], file=sys.stderr, flush=True)
    sys.path.insert(0, str(ROOT))
    from machine import machine

    print(json.dumps({"networks": rows, "rounds": options.rounds, "load_before": load, **machine()}))


if __name__ == "__main__":
    main()
