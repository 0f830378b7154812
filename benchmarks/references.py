"""One network of a reference implementation with random weights: its arrays, random images and its logits.

    python benchmarks/references.py torchvision:resnet18 OUT.npz

Runs in the environment of the reference: .venv-bench for torchvision, timm and `statement:`, which is statements.py;
.venv for keras.applications. OUT.npz holds `x` (2, H, W, C) in [0, 1], of the size for which the reference is made,
`y/<output>` the logits, `w/<name>` every weight as the reference names it, `parameters` and `milliseconds`, the median
of 5 forward passes of one image. Batch normalization gets random statistics, too.
"""

import argparse
import statistics
import time

import numpy as np

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def torch_model(source, name):
    """(module in evaluation mode, (mean, std) and (channels, height, width) it expects)."""
    import torch

    if source == "statement":
        from statements import statement

        model, shape = statement(name)
        statistics_of = (0.0,) * shape[0], (1.0,) * shape[0]
    elif source == "timm":
        declare_operators()
        import timm

        model = timm.create_model(name, pretrained=False)
        statistics_of = model.pretrained_cfg["mean"], model.pretrained_cfg["std"]
        shape = model.pretrained_cfg["input_size"]
    else:
        declare_operators()
        import torchvision

        more = {"aux_logits": False, "init_weights": False, "transform_input": True} if name == "googlenet" else {}
        model, statistics_of = getattr(torchvision.models, name)(weights=None, **more), IMAGENET
        shape = (3, 224, 224)
    draw = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=draw)
            module.running_var.uniform_(0.5, 1.5, generator=draw)
            # With larger ones a random SE-ResNet-101 is chaotic: PyTorch's own float32 and float64 differ by 19 %.
            if module.weight is not None:
                module.weight.data.uniform_(0.2, 0.8, generator=draw)
            module.bias.data.normal_(0, 0.1, generator=draw)
    return model.eval(), statistics_of, shape


def declare_operators():
    """Let torchvision be imported beside a CPU build of PyTorch, for which its wheel brings no C++ operators."""
    import torch

    global library  # the declarations live as long as it
    library = torch.library.Library("torchvision", "DEF")
    pooling = [f"{prefix}{kind}" for prefix in ("", "ps_") for kind in ("roi_align", "roi_pool")]
    backward = [f"_{name}_backward" for name in [*pooling, "deform_conv2d"]]
    resizing = ["_interpolate_bilinear2d_aa", "_interpolate_bicubic2d_aa"]
    for name in [*pooling, *backward, *resizing, "deform_conv2d", "nms", "qnms"]:
        library.define(f"{name}(Tensor x) -> Tensor")


def torch_reference(source, name):
    import torch

    torch.manual_seed(0)
    model, (mean, std), shape = torch_model(source, name)
    x = torch.rand(2, *shape)
    shaped = [torch.tensor(values).reshape(1, -1, 1, 1) for values in (mean, std)]

    def run(images):
        with torch.inference_mode():
            outputs = model((images - shaped[0]) / shaped[1])
        outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
        return {key: y.movedim(1, -1).numpy() for key, y in outputs.items()}

    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    parameters = sum(weight.numel() for weight in model.parameters())
    return x.permute(0, 2, 3, 1).numpy(), run(x), weights, parameters, milliseconds(lambda: run(x[:1]))


def keras_reference(name):
    import keras

    keras.utils.set_random_seed(0)
    family = getattr(keras.applications, {"VGG16": "vgg16", "VGG19": "vgg19"}.get(name, "resnet"))
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    draw = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [draw.uniform(0.5, 1.5, shape), draw.normal(0, 0.1, shape)]
                + [draw.normal(0, 0.1, shape), draw.uniform(0.5, 1.5, shape)]
            )
        elif isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(draw.normal(0, 0.1, layer.bias.shape))
    x = draw.random((2, 224, 224, 3), np.float32)

    def run(images):
        return {"logits": model.predict_on_batch(family.preprocess_input(255 * images))}

    weights = {f"{layer.name}/{w.name}": w.numpy() for layer in model.layers for w in layer.weights}
    parameters = sum(w.numpy().size for w in model.trainable_weights)
    return x, run(x), weights, parameters, milliseconds(lambda: run(x[:1]))


def milliseconds(forward):
    forward()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        forward()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference")
    parser.add_argument("out")
    given = parser.parse_args()
    source, name = given.reference.split(":")
    reference = keras_reference(name) if source == "keras" else torch_reference(source, name)
    x, outputs, weights, parameters, time_taken = reference
    named = {f"y/{key}": value for key, value in outputs.items()} | {f"w/{key}": w for key, w in weights.items()}
    np.savez(given.out, x=x, parameters=parameters, milliseconds=time_taken, **named)


if __name__ == "__main__":
    main()
