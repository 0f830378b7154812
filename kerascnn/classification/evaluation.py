"""A trained classifier on examples it has never seen, with the preprocessing and the precision it is served with."""

import numpy as np
from scipy.special import softmax

from kerascnn.classification.class_names import checked_names
from kerascnn.classification.losses import mixed
from kerascnn.classification.metrics import classification_metrics
from kerascnn.classification.plots import plot_confusion_matrix, plot_mistakes
from kerascnn.classification.views import averaged_over_views
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.datasets.image_folder import vanished_files_named
from kerascnn.errors import UsageError
from kerascnn.files import write_json
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.training.run_folder import check_logits


def evaluate(model, examples, class_names=None):
    """The metrics of a classifier, as classification_metrics lists them; writes nothing.

    examples: Examples, ImageFiles or a tf.data.Dataset of batches with labels; those of weight 0 do not count.
    class_names: default: 0, 1, 2 ….
    """
    check_logits(model)

    def logits(images):
        answer = model.predict_on_batch(images)
        return answer["logits"] if isinstance(answer, dict) else answer

    probabilities, labels, counted = answered(logits, examples)
    names = checked_names(class_names, probabilities.shape[-1])
    return classification_metrics(probabilities[counted], labels[counted], names)


def evaluate_classifier(model, preprocess, examples, class_names, folder, metadata, tta="none"):
    """Score `model` on every one of `examples`, Examples or ImageFiles, and return the metrics.

    preprocess: from uint8 (B, H, W, C) to the network's input, as kerascnn.export takes it; None only scales to
    [0, 1]. metadata: what metrics.json says besides, JSON types. tta: as averaged_over_views takes it; where it is not
    none, accuracy_single_view is that of the images themselves. Writes `metrics.json` (only when a figure changed),
    `confusion.png` and `mistakes.png` into `folder`.
    """
    network = folded(in_float32(model))  # what is exported
    probabilities, labels, counted = answered(averaged_over_views(network, tta), examples, preprocess)
    if tta != "none":
        single, *_ = answered(averaged_over_views(network, "none"), examples, preprocess)
        accuracy = float(np.mean(single.argmax(-1)[counted] == labels[counted]))
        metadata = {"tta": tta, "accuracy_single_view": accuracy, **metadata}
    examples, probabilities, labels = examples.take(counted), probabilities[counted], labels[counted]
    metrics = {**classification_metrics(probabilities, labels, class_names), **metadata}
    write_json(folder / "metrics.json", metrics)
    plot_confusion_matrix(labels, probabilities.argmax(-1), class_names, folder / "confusion.png")
    plot_mistakes(examples, probabilities, class_names, folder / "mistakes.png")
    return metrics


def answered(logits, examples, preprocess=None):
    """(probabilities float64 (N, classes), labels int (N,), whether its weight is above 0 bool (N,)) of each example.

    logits: images float32 (B, H, W, C) -> (B, classes).
    """
    answers, labels, counted = [], [], []
    with vanished_files_named(examples):
        for images, truth, *weights in evaluation_batches(examples, preprocess=preprocess):
            answers.append(np.asarray(logits(images)))
            labels.append(classes_of(np.asarray(truth), answers[-1]))
            counted.append(np.asarray(weights[0]) > 0 if weights else np.ones(len(truth), bool))
    probabilities = softmax(np.concatenate(answers).astype(np.float64), axis=-1)
    counted = np.concatenate(counted)
    if not counted.any():
        raise UsageError("data has no example that counts; give some of a weight above 0", argument="data")
    return probabilities, np.concatenate(labels), counted


def classes_of(labels, logits):
    """int (B,) of labels int (B,) or (B, 1), or of mixed ones (B, classes)."""
    return labels.argmax(-1) if mixed(labels, logits) else labels.reshape(-1)
