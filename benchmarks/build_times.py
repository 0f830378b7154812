"""Seconds that building a network takes, weights drawn and all: ours, and the same ones of two other libraries.

    python benchmarks/build_times.py

Every network of ours with its default arguments, and beside it the same one of keras.applications and of torchvision,
where they have it, without published weights. Each is built three times, by turns, each time in a process of its own,
as a program builds the one that it wants, after a small network, which brings the library up; process start and imports
are not counted. stdout: one JSON object with the medians and the longest time of ours; stderr: the times. Without
PyTorch in .venv-bench (`make bench` installs it) it says so and leaves torchvision out.
"""

# Cyclopts is not in PyTorch's environment, where this runs, too.
import argparse
import json
import statistics
import sys
import time

from contenders import ROOT, TORCH_PYTHON, measured

sys.path.insert(0, str(ROOT))

ROUNDS = 3
# our name: theirs
PEERS = {
    "keras.applications": {
        **{f"vgg{n}": f"VGG{n}" for n in (16, 19)},
        **{f"resnet{n}": f"ResNet{n}" for n in (50, 101, 152)},
    },
    "torchvision": {
        "alexnet_2014": "alexnet",
        "googlenet_bn": "googlenet",
        **{f"vgg{n}{bn}": f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")},
        **{f"resnet{n}": f"resnet{n}" for n in (18, 34)},
        **{f"resnet{n}_v1_5": f"resnet{n}" for n in (50, 101, 152)},
    },
}


def builders(contender, name):
    """(what brings the library up, what builds the network called `name` by us)."""
    if contender == "torchvision":
        import torch
        from references import declare_operators

        declare_operators()
        import torchvision

        # GoogLeNet has auxiliary heads unless told otherwise, and warns unless told whether to draw its weights.
        options = {"aux_logits": False, "init_weights": True} if name == "googlenet_bn" else {}
        build = getattr(torchvision.models, PEERS[contender][name])
        return lambda: torch.nn.Linear(8, 8), lambda: build(weights=None, **options)
    from kerascnn.models import builder

    if contender == "ours":
        return builder("lenet5"), builder(name)
    import keras

    build = getattr(keras.applications, PEERS[contender][name])
    return builder("lenet5"), lambda: build(weights=None)


def seconds(contender, name):
    bring_up, build = builders(contender, name)
    bring_up()
    started = time.perf_counter()
    build()
    return round(time.perf_counter() - started, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contender", choices=("ours", *PEERS), help="measure this one alone, in this process")
    parser.add_argument("--name", help="the network that it builds")
    options = parser.parse_args()
    if options.contender:
        print(seconds(options.contender, options.name))
        return
    from machine import machine

    from kerascnn.model_names import NETWORKS

    peers = {library: theirs for library, theirs in PEERS.items() if library != "torchvision" or TORCH_PYTHON.exists()}
    if "torchvision" not in peers:
        print(f"no PyTorch at {TORCH_PYTHON.parent.parent}: torchvision is left out; run `make bench`", file=sys.stderr)
    times = {}
    for name in NETWORKS:
        times[name] = {"ours": [], **{library: [] for library, theirs in peers.items() if name in theirs}}
        for _ in range(ROUNDS):
            for contender, rounds in times[name].items():
                printed = measured(__file__, contender, "--name", name, pytorch=contender == "torchvision")
                rounds.append(float(printed))
        print(name, times[name], file=sys.stderr, flush=True)
    medians = {name: {who: statistics.median(three) for who, three in row.items()} for name, row in times.items()}
    slowest = max(medians, key=lambda name: medians[name]["ours"])
    ratios = {
        library: statistics.median(row["ours"] / row[library] for row in medians.values() if library in row)
        for library in peers
    }
    figures = {
        "networks": len(medians),
        "slowest": slowest,
        "slowest_seconds": medians[slowest]["ours"],
        "longest_seconds": max(max(row["ours"]) for row in times.values()),
        "median_ratios": {library: round(ratio, 2) for library, ratio in ratios.items()},
        "seconds": medians,
        "rounds": ROUNDS,
    }
    print(json.dumps({**figures, **machine()}))


if __name__ == "__main__":
    main()
