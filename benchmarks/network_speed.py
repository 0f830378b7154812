"""Time of inference and of a training step of our networks against the same networks in PyTorch, in one run.

    python benchmarks/network_speed.py [--rounds 3] [--only NAME]

Every contender runs in a process of its own on the same two cores, and the rounds are interleaved, so that a busy
machine slows all alike. A figure is the median of the rounds, a round's the median of 5 calls after 2 that are not
timed. Inference: 1 image through the graph that a SavedModel holds (batch normalization folded into the convolutions),
against eager PyTorch in inference mode. Training: one step of SGD with momentum on a batch of 8, forward, backward and
update, float32, compiled by XLA where training does that: on a GPU. Images are random, 224 x 224 (299 for Inception-v4,
256 for the U-Net); PyTorch's are channels last, which is faster for it. stdout: one JSON object; stderr: the rounds.
"""

# Cyclopts is not in PyTorch's environment, where this runs, too.
import argparse
import json
import statistics
import sys
import time

import numpy as np
from contenders import ROOT, measured, two_idle_cores

BATCH = 8
# our name: (theirs, side of the image)
NETWORKS = {
    "resnet50_v1_5": ("torchvision:resnet50", 224),
    "vgg16": ("torchvision:vgg16", 224),
    "googlenet_bn": ("torchvision:googlenet", 224),
    "inception_v4": ("timm:inception_v4", 299),
    "se_resnet50": ("timm:legacy_seresnet50", 224),
    "unet_buda": ("statement:unet_buda", 256),
}


def median_milliseconds(call, warm=2, times=5):
    taken = []
    for _ in range(warm + times):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[warm:])


def batch(side, classes):
    """Images float32 (BATCH, side, side, 3) and labels, a class each or a mask each."""
    draw = np.random.default_rng(0)
    images = draw.random((BATCH, side, side, 3), dtype=np.float32)
    if classes == 1:
        return images, draw.integers(0, 2, (BATCH, side, side, 1)).astype(np.float32)
    return images, draw.integers(0, classes, BATCH)


def ours(name, side):
    import keras
    import tensorflow as tf

    from kerascnn.models import builder
    from kerascnn.saved_model.folding import folded
    from kerascnn.training.fused_normalization import fused_normalization
    from kerascnn.training.precision import on_accelerator

    model = builder(name)()
    classes = model.output_shape[-1]
    images, labels = batch(side, classes)
    exported = folded(model)
    graph = tf.function(lambda x: exported(x, training=False))
    one = tf.constant(images[:1])
    inference = median_milliseconds(lambda: graph(one).numpy())
    binary = classes == 1
    kind = keras.losses.BinaryCrossentropy if binary else keras.losses.SparseCategoricalCrossentropy
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), kind(from_logits=True), jit_compile=on_accelerator())
    with fused_normalization(model):
        return inference, median_milliseconds(lambda: model.train_on_batch(images, labels))


def theirs(reference, side):
    import torch
    from references import torch_model

    torch.set_num_threads(2)
    source, name = reference.split(":")
    model, _, _ = torch_model(source, name)
    model = model.to(memory_format=torch.channels_last)
    one = torch.from_numpy(batch(side, 2)[0]).permute(0, 3, 1, 2)[:1]
    with torch.inference_mode():
        classes = model(one).shape[1]
        inference = median_milliseconds(lambda: model(one))
    images, labels = batch(side, classes)
    images, labels = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
    binary = classes == 1
    labels = labels.permute(0, 3, 1, 2) if binary else labels
    loss = torch.nn.functional.binary_cross_entropy_with_logits if binary else torch.nn.functional.cross_entropy
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()

    return inference, median_milliseconds(step)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--contender", choices=("ours", "theirs"), help="measure this one alone, in this process")
    options = parser.parse_args()
    if options.contender:
        reference, side = NETWORKS[options.only]
        figures = ours(options.only, side) if options.contender == "ours" else theirs(reference, side)
        print(json.dumps(figures))
        return
    load = two_idle_cores()
    rows = {}
    for name in [options.only] if options.only else NETWORKS:
        found = {"ours": [], "theirs": []}
        for _ in range(options.rounds):
            for contender, rounds in found.items():
                printed = measured(__file__, contender, "--only", name, pytorch=contender == "theirs")
                rounds.append(json.loads(printed))
        row = {"reference": NETWORKS[name][0]}
        for place, kind in enumerate(("inference", "training")):
            mine, other = (statistics.median(r[place] for r in found[who]) for who in ("ours", "theirs"))
            row[kind] = {"ours_ms": round(mine, 1), "pytorch_ms": round(other, 1), "ratio": round(mine / other, 2)}
        rows[name] = row
        print(name, row, file=sys.stderr, flush=True)
    sys.path.insert(0, str(ROOT))
    from machine import machine

    medians = {
        f"median_{kind}_ratio": statistics.median(row[kind]["ratio"] for row in rows.values())
        for kind in ("inference", "training")
    }
    print(json.dumps({"networks": rows, **medians, "rounds": options.rounds, "load_before": load, **machine()}))


if __name__ == "__main__":
    main()
