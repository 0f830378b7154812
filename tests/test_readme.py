"""What the README and docs/ claim: their figures are those of the committed results, and their Python calls run."""

import json
import re
from pathlib import Path

import cv2
import pytest

from kerascnn.classification.recipes import RECIPES
from kerascnn.datasets.synthetic import drawn

ROOT = Path(__file__).parents[1]
FIGURES = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVING = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
RESULTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "benchmarks" / "results").glob("*.json")}


def percent(share):
    return f"{100 * share:.2f} %"


def seeds(result):
    errors = ", ".join(f"{100 * error:.2f}" for error in result["errors"])
    return f"{percent(result['error'])} ± {100 * result['error_sd']:.2f} ({errors})"


def sheets(result):
    return f"{percent(result['clean']['digit_accuracy'])} clean, {percent(result['hard']['digit_accuracy'])} hard"


def pipeline(result):
    plain, augmented = result["plain"], result["augmented"]
    return (
        f"{plain['pipeline']:,} plain, {augmented['pipeline']:,} augmented "
        f"(training: {plain['training']:,}, {augmented['training']:,})"
    )


def training_rate(result):
    rates = result["images_per_second"]
    return (
        f"{rates['fit']:,}: {result['fit_over_pytorch']:.2f} times PyTorch's {rates['pytorch']:,}, "
        f"{result['fit_over_keras']:.2f} times plain Keras's {rates['keras']:,}"
    )


def memory(result):
    errors = {name: figure["measured_over_estimate"] for name, figure in result["networks"].items()}
    return ", ".join(f"{name} {error:.2f}" for name, error in errors.items())


def speed(result):
    words = []
    for kind, what in (("inference", "one image"), ("training", "a step of 8")):
        each = ", ".join(f"{name} {row[kind]['ratio']:.2f}" for name, row in result["networks"].items())
        words.append(f"{what} {result[f'median_{kind}_ratio']:.2f} ({each})")
    return "; ".join(words)


def differences(result):
    return f"{result['networks']} networks, at most {result['worst']:.1e}"


def folds(result):
    low, high = result["patient_dice_95"]
    return (
        f"mean {result['patient_dice']:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"median {result['patient_dice_median']:.3f}, {result['patients']} patients; "
        f"slices one by one {result['single_image_patient_dice']:.3f}"
    )


def masks(result):
    return (
        f"{result['network']:.1f}: {result['ratio']:.2f} times PyTorch's {result['pytorch']:.1f}; "
        f"the shipped SavedModel, bytes to mask, {result['volume']:.1f}"
    )


def streamed(result):
    ours, theirs = result["kerascnn"], result["keras"]
    return (
        f"first batch after {ours['start']:.1f} s (Keras {theirs['start']:.1f}), then {ours['rate']:,} images/s "
        f"(Keras {theirs['rate']:,}, training {ours['training']:,}), at most {ours['memory'] / 1024:.1f} GiB "
        f"(Keras {theirs['memory'] / 1024:.1f})"
    )


def photos(result):
    sizes = "1600x1200", "640x480", "500x375"
    each = ((size, result[size]["kerascnn"], result[size]["ratios"]) for size in sizes)
    return ", ".join(
        f"{rate:.0f} of {size} ({of['kerascnn']:.2f}, cropped {of['cropped']:.2f})" for size, rate, of in each
    )


def fast(result):
    runs = result["runs"]
    each = ", ".join(f"{100 * run['accuracy']:.2f}" for run in runs)
    minutes, times = sorted(run["seconds"] / 60 for run in runs), sorted(run["times_ideal"] for run in runs)
    rates = [run["gflops"] for run in runs]
    at = f"at {min(rates):.0f} to {max(rates):.0f} GFLOP/s "
    words = f"{at}{times[0]:.2f} to {times[-1]:.2f} times as long as the record's operations take ideally"
    return f"{percent(result['accuracy'])} ({each}) in {minutes[0]:.0f} to {minutes[-1]:.0f} minutes, {words}"


def transferred(result):
    words = {"scratch": "from scratch", "frozen": "a new head alone", "finetuned": "its last block, too"}
    each = ((words[kind], result[kind]) for kind in words)
    return ", ".join(f"{name} {percent(of['accuracy'])} ± {100 * of['accuracy_sd']:.1f}" for name, of in each)


def steps(result):
    def one(name, of):
        plain, eager = of["ours_over_without_onednn"], of["ours_over_eager"]
        times = (
            f"{plain:.2f} without oneDNN, {eager:.2f} PyTorch's eager, {of['ours_over_compiled']:.2f} its compiled step"
        )
        half, both = of["ours_bfloat16_over_eager"], of["ours_bfloat16_over_eager_bfloat16"]
        in_half = f"{of['ours_bfloat16_ms']:,.0f} ms in bfloat16: {half:.2f} eager in float32, {both:.2f} in bfloat16"
        return f"{name} {of['ours_ms']:,.0f} ms: {times}; {in_half}"

    return "; ".join(one(name, of) for name, of in result["networks"].items())


def load(result):
    figures = result["clients_x_batch"]
    errors = sum(of["errors"] for of in figures.values())
    each = (f"{of['images_per_second']} ({of['p50_ms']:,.0f}, {of['p99_ms']:,.0f} ms)" for of in figures.values())
    names = (name.replace("x", " x ") for name in figures)
    return (
        f"{', '.join(map(' '.join, zip(names, each, strict=True)))}; {errors} errors, {result['new_versions']} versions"
    )


def beside(result):
    slowest = [of["slowest_s"] for of in result["beside"].values()]
    wrong = sum(of["wrong"] for of in result["beside"].values())
    return f"{min(slowest):.2f} to {max(slowest):.2f} s beside {len(slowest)} kinds; {wrong} wrong answers"


def shifts(result):
    at = [result["shifts"].index(pixels) for pixels in (0, 2, 4)]
    return "; ".join(
        f"{name} {', '.join(f'{100 * values[place]:.1f}' for place in at)} %"
        for name, values in result["accuracy"].items()
    )


def learned(result):
    """Errors in training and on validation images at the end, of each network at the rate that trains it fastest."""
    best = {}
    for label, history in result["histories"].items():
        name, ends = label.split(",")[0], [100 - 100 * history[key][-1] for key in ("accuracy", "val_accuracy")]
        best[name] = min(best.get(name, ends), ends)
    return "; ".join(f"{name} {ends[0]:.1f} and {ends[1]:.1f} %" for name, ends in best.items())


def large(result):
    """Peak memory and seconds of each network, of how much memory there is."""
    parts = [
        f"{name} {each['peak_memory_mib'] / 1024:.1f} GiB, {each['training_seconds']:.0f} s"
        for name, each in result["networks"].items()
    ]
    return f"{'; '.join(parts)}; of {result['memory_mib'] / 1024:.1f} GiB"


def kept(result):
    wrong = sum(result["wrong_answers"].values())
    return f"{result['warm_mib']} MiB, then {result['last_mib']}, at most {result['most_mib']}; {wrong} wrong answers"


# the table's first column, the file with the figures, and what the second column says of them
ROWS = [
    ("`lenet5`, test error on MNIST, mean ± sd over seeds", "lenet5", seeds),
    ("`vgg_digits`, test error on MNIST, mean ± sd over seeds", "vgg_digits", seeds),
    ("`vgg_digits`, weaker distortions, test error on MNIST, mean ± sd over seeds", "vgg_digits_weaker", seeds),
    (
        "`lenet5`, seconds of training and test accuracy reached",
        "time_to_99",
        lambda r: (
            f"{r['seconds']:.1f} ± {r['seconds_sd']:.1f} s, {percent(r['accuracy'])} ± {100 * r['accuracy_sd']:.2f}"
        ),
    ),
    ("`lenet5`, training rate in images/s, batch 128", "training_rate", training_rate),
    ("`cifar_fast`, test accuracy on CIFAR-10 after 10 epochs, six views", "cifar_fast", fast),
    (
        "`airbench95`, test accuracy on CIFAR-10 after 17 epochs, 0.97 PFLOP, six views and one",
        "airbench95",
        lambda r: (
            f"{percent(r['accuracy'])} and {percent(r['accuracy_single_view'])} "
            f"in {r['training_seconds'] / 60:.0f} minutes"
        ),
    ),
    ("ten classes of 40 photos at 32x32, test accuracy of `airbench` from CIFAR-10", "transfer", transferred),
    (
        "plain and residual networks of 20 and 56 layers, errors after 8 epochs in training and validation",
        "lecture_depth",
        learned,
    ),
    (
        "an epoch on 320 photos in batches of 64, of the largest network of each family: peak memory, and seconds with "
        "tracing",
        "large_inputs",
        large,
    ),
    ("ReLU and tanh in four layers, errors after 10 epochs in training and validation", "lecture_activation", learned),
    (
        "four layers without and with batch normalization, errors after 10 epochs in training and validation",
        "lecture_batch_norm",
        learned,
    ),
    ("accuracy on MNIST's test images shifted by 0, 2 and 4 pixels, after 8 epochs", "lecture_pixel_shift", shifts),
    (
        "`cifar_fast` (bfloat16, median of five) beside the published airbench94_muon (float32, one run) on this CPU",
        "airbench94_muon",
        lambda r: (
            f"{r['ours']['seconds']:.0f} s and {percent(r['ours']['accuracy'])}, {r['seconds']:.0f} s and "
            f"{percent(r['accuracy'])} in 8 epochs: {r['ours_over_theirs']:.2f} of its time"
        ),
    ),
    (
        "time of a training step on CIFAR-10's size, over others' on the same two cores (below 1: ours is faster)",
        "training_step",
        steps,
    ),
    ("input pipeline alone in images/s, batch 128", "pipeline_rate", pipeline),
    ("20,000 JPEGs of 300x400 streamed to 64x64, batch 64", "image_folder", streamed),
    ("photos a second to 224x224, over decoding their JPEGs in full alone", "photo_pipeline", photos),
    (
        "`check` of 10,000 files with 300 swapped labels: time, swapped ones that it doubts, and all that it doubts",
        "doubtful_labels",
        lambda r: f"{r['seconds']:.0f} s, {100 * r['found']:.0f} %, {r['doubted']}",
    ),
    (
        "five nearest of 100,000 vectors of 256 numbers, exactly, milliseconds of a query, and of 1,000 at once",
        "nearest",
        lambda r: (
            f"{r['kerascnn']['one_ms']:.0f}, {r['kerascnn']['thousand_ms']:,.0f} "
            f"(scikit-learn {r['scikit_learn']['one_ms']:.0f}, {r['scikit_learn']['thousand_ms']:,.0f})"
        ),
    ),
    (
        "`kc.fit` over plain `model.fit` on the same data",
        "fit_overhead",
        lambda r: f"time {r['ratio']:.2f}, processor time {r['processor ratio']:.2f}",
    ),
    ("one PNG through `predict_bytes` in Python, median", "predict_latency", lambda r: f"{r['median']:.1f} ms"),
    ("one PNG through the REST server on loopback, median", "serving_latency", lambda r: f"{r['median']:.1f} ms"),
    ("REST server under load, clients x images of a request: images/s (p50, p99)", "server_load", load),
    ("slowest small request to the REST server beside heavy and hostile ones", "server_heavy", beside),
    ("memory of the REST server after 1,000 to 2,000 and after 100,000 mixed requests", "server_memory", kept),
    ("`python -m apps.digits --help`, median", "help_latency", lambda r: f"{r['median']:.2f} s"),
    ("memory of training, measured over estimate, adam in float32", "memory_estimate", memory),
    ("time over PyTorch's on the same two cores, medians, float32", "network_speed", speed),
    ("logits against reference implementations with the same weights", "parity", differences),
    ("digits read on composed pages of test digits", "read_sheets", sheets),
    ("brain tumors, five folds by patient, Dice of a patient", "tumors_folds", folds),
    ("brain tumors, five folds, 30 epochs without CarveMix, Dice of a patient", "tumors_folds_short", folds),
    (
        "brain tumors, five folds, ensembles of two with CarveMix, Dice of a patient",
        "tumors_folds_ensemble",
        folds,
    ),
    ("slices of 256 × 256 a second, the shipped tumor network's structure, batch 8", "mask_speed", masks),
]


@pytest.mark.parametrize(("figure", "name", "says"), ROWS, ids=[row[1] for row in ROWS])
def test_the_results_table_says_what_was_measured(figure, name, says):
    assert f"| {figure} | {says(RESULTS[name])} |" in FIGURES
    (row,) = [line for line in FIGURES.splitlines() if line.startswith(f"| {figure} |")]
    assert f"(../benchmarks/results/{name}.json)" in row
    assert row.split(" | ")[3] == RESULTS[name]["date"]


def test_every_result_stands_in_the_table_with_its_provenance():
    assert set(RESULTS) == {name for _, name, _ in ROWS}
    for result in RESULTS.values():
        assert result["hardware"] in FIGURES
        versions = result["versions"]
        assert f"Python {versions['python']}, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}" in FIGURES


def test_the_first_page_says_the_same():
    for name in ("lenet5", "vgg_digits"):
        assert f"| `{name}`, test error on MNIST, three seeds | {seeds(RESULTS[name]).split(' (')[0]} |" in README
    fastest = RESULTS["cifar_fast"]
    minutes = sorted(run["seconds"] / 60 for run in fastest["runs"])
    said = f"{percent(fastest['accuracy'])} ± {100 * fastest['accuracy_sd']:.2f}, {minutes[0]:.0f} to {minutes[-1]:.0f}"
    assert f"| `cifar_fast`, test accuracy on CIFAR-10 over five seeds, minutes on two cores | {said} |" in README
    deeper = RESULTS["airbench95"]
    said = f"{percent(deeper['accuracy'])}, {deeper['training_seconds'] / 60:.0f}"
    assert f"| `--recipe airbench95`, test accuracy on CIFAR-10 by six views, minutes on two cores | {said} |" in README
    tumors = RESULTS["tumors_folds"]
    words = f"mean {tumors['patient_dice']:.3f}, median {tumors['patient_dice_median']:.3f}"
    assert f"| brain tumors, Dice of a patient, five folds of {tumors['patients']} patients | {words} |" in README
    apart = (
        f"{RESULTS['parity']['networks']} networks against reference implementations with the same weights | at most"
    )
    assert f"| logits of {apart} {RESULTS['parity']['worst']:.1e} apart |" in README
    faster = RESULTS["training_rate"]["fit_over_pytorch"]
    assert f"| LeNet-5, training rate on two cores | {faster:.2f} times eager PyTorch's" in README
    step = RESULTS["training_step"]["networks"]["resnet20"]
    whole, half = step["ours_over_eager"], step["ours_bfloat16_over_eager"]
    said = f"takes {whole:.2f} times its time, in bfloat16, which `kc.fit` chooses there, {half:.2f}"
    assert f"(a step of ResNet-20 {said}) |" in README


def test_the_shipped_models_error_is_that_of_its_metrics():
    metrics = json.loads((ROOT / "saved_models" / "digits" / "metrics.json").read_text())
    assert f"test error {percent(metrics['error'])}" in FIGURES
    metrics = json.loads((ROOT / "saved_models" / "cifar10_fast" / "metrics.json").read_text())
    many, one = percent(metrics["accuracy"]), percent(metrics["accuracy_single_view"])
    assert f"test accuracy of {many} by six views" in FIGURES
    assert f"test accuracy by six views, and by one | {many}, {one} |" in README
    metrics = json.loads((ROOT / "saved_models" / "cifar10_resnet20" / "metrics.json").read_text())
    two, one = percent(metrics["error"]), percent(1 - metrics["accuracy_single_view"])
    assert f"test error of {two} by an image and its mirror image" in FIGURES
    assert f"test error by two views, and by one | {two}, {one} |" in README


def test_what_the_page_of_images_says_of_recipes_is_what_was_measured():
    page = (ROOT / "docs" / "images.md").read_text()
    runs = RESULTS["cifar_fast"]["runs"]
    minutes, each = sorted(run["seconds"] / 60 for run in runs), sorted(100 * run["accuracy"] for run in runs)
    (default,) = [percent(run["accuracy"]) for run in runs if run["seed"] == 0]
    mean = percent(RESULTS["cifar_fast"]["accuracy"])
    said = f"{mean} (five seeds, {each[0]:.2f} to {each[-1]:.2f}; seed 0, the default: {default.removesuffix(' %')})"
    assert f"10 epochs | {minutes[0]:.0f} to {minutes[-1]:.0f} | {said} |" in page
    deeper = RESULTS["airbench95"]
    assert deeper["epochs"] == RECIPES["airbench95"].training.epochs
    said = (
        f"{deeper['epochs']} epochs | {deeper['training_seconds'] / 60:.0f} | {percent(deeper['accuracy'])} (one run) |"
    )
    assert said in page
    for name, beside in (("cifar10_fast", ""), ("cifar10_resnet20", ", beside tests")):
        files = (ROOT / "saved_models" / name / file for file in ("recipe.json", "metrics.json"))
        record, metrics = (json.loads(file.read_text()) for file in files)
        said = f"| {record['training_seconds'] / 60:.0f}{beside} | {percent(metrics['accuracy'])} (one run) |"
        assert said in page
    transfer = RESULTS["transfer"]
    shares = [f"{100 * transfer[name]['accuracy']:.0f} %" for name in ("finetuned", "frozen", "scratch")]
    words = " ".join(page.split())
    assert (
        f"it reaches {shares[0]}, a new head alone {shares[1]}, training from scratch, by Adam at 1e-3, {shares[2]}"
        in words
    )


def test_the_shipped_tumor_networks_figures_are_those_of_its_run():
    folder = ROOT / "saved_models" / "tumors"
    metrics, record = (json.loads((folder / name).read_text()) for name in ("metrics.json", "recipe.json"))
    words = " ".join(FIGURES.split())
    assert f"mean Dice of its {metrics['patients']} test patients {metrics['patient_dice']:.3f}" in words
    assert f"trained in {record['training_seconds'] / 60:.0f} minutes" in words
    assert f"at most {record['peak_memory_mib'] / 1024:.1f} GiB of memory" in words


@pytest.mark.parametrize("call", ["load_predictor(", "saved_model.load("])
def test_the_calls_from_python_run(call, tmp_path, monkeypatch, capsys):
    (snippet,) = [code for code in re.findall(r"```python\n(.*?)```", SERVING, re.DOTALL) if call in code]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    cv2.imwrite("runs/digits/digit.png", drawn(8, 0).images[7])
    exec(snippet, {})
    name, score, *_ = capsys.readouterr().out.split()
    assert name in "0123456789"
    assert 0 < float(score) <= 1
