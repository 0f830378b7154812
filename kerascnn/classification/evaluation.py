"""A trained classifier on examples it has never seen, with the preprocessing and the precision it is served with."""

import csv

import numpy as np
from scipy.special import softmax

from kerascnn.classification.calibration import expected_calibration_error, fitted_temperature
from kerascnn.classification.class_names import checked_names
from kerascnn.classification.inference import Inference, answers_to, check_counted
from kerascnn.classification.metrics import classification_metrics
from kerascnn.classification.plots import plot_answers, plot_confusion_matrix, plot_mistakes, plot_reliability
from kerascnn.classification.views import averaged_over_views
from kerascnn.errors import UsageError
from kerascnn.files import write_aside, write_json
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.training.checks import check_image_shape
from kerascnn.training.run_folder import check_logits, main_head, plain

SINGLE_VIEW = Inference()
LEAST_EXAMPLES = 100  # for a temperature: one of fewer often makes answers worse


def evaluate(model, examples, class_names=None):
    """The metrics of a classifier, as classification_metrics lists them; writes nothing.

    examples: Examples, ImageFiles or a tf.data.Dataset of batches with labels; those of weight 0 do not count.
    class_names: default: 0, 1, 2 ….
    """
    head = main_head(plain(model))
    check_logits(head)
    check_image_shape(head, getattr(examples, "image_shape", None))
    found, labels, counted = answered(lambda images: head(images, training=False), examples)
    check_counted(counted, examples)
    names = checked_names(class_names, found.shape[-1])
    return classification_metrics(found[counted], labels[counted], names)


def calibrate(model, examples, tta="none"):
    """{"temperature": what its logits are divided by for the least cross-entropy on `examples`}, {} of fewer than 100.

        kc.calibrate(model, data.validation)["temperature"]

    As kerascnn.fit(conclude=lambda model: kc.calibrate(model, data.validation)) the run keeps it, and kerascnn.export
    divides by it; see calibration.fitted_temperature. model: a classifier. examples: Examples or ImageFiles on which it
    was not trained, or None. tta: as averaged_over_views takes it. Raises UsageError for a model that ends in a
    softmax, and for labels that it does not know.
    """
    if examples is None:
        return {}
    head = main_head(plain(model))
    check_logits(head)
    found, labels, counted = answers_over_views(folded(in_float32(head)), examples, Inference(tta))
    if counted.sum() < LEAST_EXAMPLES:
        return {}
    return {"temperature": fitted_temperature(found[counted], labels[counted])}


def evaluate_classifier(model, preprocess, examples, class_names, folder, metadata, inference=SINGLE_VIEW):
    """Score `model` on every one of `examples`, Examples or ImageFiles, and return the metrics.

    preprocess: from uint8 (B, H, W, C) to the network's input, as kerascnn.export takes it; None only scales to
    [0, 1]. metadata: what metrics.json says besides, JSON types. inference: how it answers; where it has several views,
    accuracy_single_view is that of the images themselves, where it has a temperature, ece_before_temperature is that
    without. Writes `metrics.json` (only when a figure changed), `confusion.csv`, `confusion.png`, `mistakes.png`,
    `reliability.png` and `answers.png` into `folder`.
    """
    from sklearn.metrics import confusion_matrix

    network = folded(in_float32(model))  # what is exported
    found, labels, counted = answers_over_views(network, examples, inference, preprocess)
    check_counted(counted, examples)
    if inference.tta != "none":
        single, *_ = answers_over_views(network, examples, SINGLE_VIEW, preprocess)
        accuracy = float(np.mean(single.argmax(-1)[counted] == labels[counted]))
        metadata = {"tta": inference.tta, "accuracy_single_view": accuracy, **metadata}
    examples, found, labels = examples.take(counted), found[counted], labels[counted]
    logits = found / inference.temperature
    before, probabilities = softmax(found, axis=-1), softmax(logits, axis=-1)
    if inference.temperature != 1:
        ece = expected_calibration_error(before, labels)
        metadata = {"temperature": inference.temperature, "ece_before_temperature": ece, **metadata}
    metrics = {**classification_metrics(logits, labels, class_names), **metadata}
    write_json(folder / "metrics.json", metrics)
    confusion = confusion_matrix(labels, probabilities.argmax(-1), labels=np.arange(len(class_names)))
    write_confusion_matrix(confusion, class_names, folder / "confusion.csv")
    plot_confusion_matrix(confusion, class_names, folder / "confusion.png")
    plot_mistakes(examples, probabilities, class_names, folder / "mistakes.png")
    plot_reliability(probabilities, before, labels, folder / "reliability.png")
    plot_answers(examples, probabilities, class_names, folder / "answers.png")
    return metrics


def write_confusion_matrix(counts, class_names, path):
    """Write how often each label (row) was predicted as which class (column) to a CSV file with a header."""

    def write(aside):
        with open(aside, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["label", *class_names])
            rows.writerows([name, *row] for name, row in zip(class_names, counts.tolist(), strict=True))

    write_aside(path, write)


def answers_over_views(network, examples, inference, preprocess=None):
    """What `answered` gives of the views that `inference` names; the temperature is left to the caller."""
    return answered(averaged_over_views(network, inference.tta), *inference.source(examples, preprocess))


def answered(logits, examples, preprocess=None):
    """(logits float64 (N, classes), labels int (N,), whether its weight is above 0 bool (N,)) of each example.

    logits: images float32 (B, H, W, C) -> (B, classes).
    """
    answers, labels, counted = answers_to(examples, logits, preprocess)
    answers = np.concatenate(answers)
    if (outside := labels[counted & ((labels < 0) | (labels >= answers.shape[-1]))]).size:
        span = f"up to {outside.max()}" if outside.min() >= 0 else f"from {outside.min()} on"
        words = f"data has labels {span}, and the model has {answers.shape[-1]} logits"
        raise UsageError(f"{words}; give a model for all classes, and count labels from 0", argument="data")
    return answers.astype(np.float64), labels, counted
