"""Slices a second of a network like the shipped one for tumors, against the same in eager PyTorch, on the same cores.

    python benchmarks/mask_speed.py [--rounds 5]

Network: batches of 8 random float32 slices of 256 x 256, through the graph that a SavedModel holds and through PyTorch
in inference mode, weights random. Volume: 80 drawn uint8 slices of 256 x 256 through `predict_volume` of the shipped
SavedModel, from bytes to mask. Every contender runs in a process of its own on the same two cores, rounds interleaved;
a figure is the median of the rounds, a round's the median of 5 calls after 2 that are not timed. stdout: one JSON
object; stderr: the rounds.
"""

# Cyclopts is not in PyTorch's environment, where this runs, too.
import argparse
import json
import statistics
import sys

import numpy as np
from contenders import ROOT, measured, two_idle_cores
from network_speed import median_milliseconds

SHIPPED = ROOT / "saved_models" / "tumors"
SLICES, SIDE, VOLUME = 8, 256, 80


def network(width):
    import tensorflow as tf

    from kerascnn.models.unet import unet_buda
    from kerascnn.saved_model.folding import folded

    model = folded(unet_buda((SIDE, SIDE, 3), width=width))
    graph = tf.function(lambda x: model(x, training=False))
    slices = tf.constant(random_slices())
    return SLICES, lambda: graph(slices).numpy()


def pytorch(width):
    import torch
    from statements import UNet

    torch.set_num_threads(2)
    model = UNet(3, 1, width=width, norm=True, skip_first=False).eval().to(memory_format=torch.channels_last)
    slices = torch.from_numpy(random_slices()).permute(0, 3, 1, 2)

    def call():
        with torch.inference_mode():
            return model(slices)

    return SLICES, call


def volume(width):
    import tensorflow as tf

    from kerascnn.saved_model.versions import latest_version, load_signatures
    from kerascnn.tumors.phantoms import drawn_patient

    predict = load_signatures(latest_version(SHIPPED))["predict_volume"]
    slices = tf.constant(drawn_patient(0, VOLUME, SIDE).images[np.newaxis])
    return VOLUME, lambda: predict(volume=slices)["mask"].numpy()


CONTENDERS = {"network": network, "pytorch": pytorch, "volume": volume}


def random_slices():
    return np.random.default_rng(0).random((SLICES, SIDE, SIDE, 3), dtype=np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contender", choices=CONTENDERS, help="measure this one alone, in this process")
    parser.add_argument("--width", type=int, help="channels of the first level, with --contender")
    options = parser.parse_args()
    if options.contender:
        slices, call = CONTENDERS[options.contender](options.width)
        print(1000 * slices / median_milliseconds(call))
        return
    load = two_idle_cores()
    sys.path.insert(0, str(ROOT))
    from machine import machine

    from kerascnn.tumors.training import WIDTH

    width = json.loads((SHIPPED / "recipe.json").read_text())["recipe"]["width"] or WIDTH
    rounds = {name: [] for name in CONTENDERS}
    for _ in range(options.rounds):
        for name, rates in rounds.items():
            rates.append(float(measured(__file__, name, "--width", width, pytorch=name == "pytorch")))
            print(name, round(rates[-1], 1), file=sys.stderr, flush=True)
    rates = {name: round(statistics.median(found), 1) for name, found in rounds.items()}
    ratio = round(rates["network"] / rates["pytorch"], 2)
    print(
        json.dumps(
            {**rates, "ratio": ratio, "width": width, "rounds": options.rounds, "load_before": load, **machine()}
        )
    )


if __name__ == "__main__":
    main()
