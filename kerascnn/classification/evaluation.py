"""A trained classifier on examples it has never seen, with the preprocessing and the precision it is served with."""

import numpy as np
from scipy.special import softmax

from kerascnn.classification.class_names import checked_names
from kerascnn.classification.metrics import classification_metrics
from kerascnn.classification.plots import plot_confusion_matrix, plot_mistakes
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.datasets.image_folder import vanished_files_named
from kerascnn.files import write_json
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.training.run_folder import check_logits


def evaluate(model, examples, class_names=None):
    """The metrics of a classifier, as classification_metrics lists them; writes nothing.

    examples: Examples, ImageFiles or a tf.data.Dataset of batches with labels; those of weight 0 do not count.
    class_names: default: 0, 1, 2 ….
    """
    check_logits(model)
    logits, labels = [], []
    with vanished_files_named(examples):
        for images, truth, *weights in evaluation_batches(examples):
            answer = model.predict_on_batch(images)
            counted = np.asarray(weights[0] if weights else np.ones(len(truth))) > 0
            logits.append((answer["logits"] if isinstance(answer, dict) else answer)[counted])
            labels.append(np.asarray(truth)[counted])
    probabilities = softmax(np.concatenate(logits).astype(np.float64), axis=-1)
    names = checked_names(class_names, probabilities.shape[-1])
    return classification_metrics(probabilities, np.concatenate(labels), names)


def evaluate_classifier(model, preprocess, examples, class_names, folder, metadata):
    """Score `model` on every one of `examples` and return the metrics.

    preprocess: from uint8 (B, H, W, C) to the network's input, as kerascnn.export takes it; None only scales to
    [0, 1]. metadata: what metrics.json says besides, JSON types. Writes `metrics.json` (only when a figure changed),
    `confusion.png` and `mistakes.png` into `folder`.
    """
    network = folded(in_float32(model))  # what is exported
    batches = evaluation_batches(examples, preprocess=preprocess)
    logits = np.concatenate([network(images, training=False).numpy() for images, *_ in batches])
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    metrics = {**classification_metrics(probabilities, examples.labels, class_names), **metadata}
    write_json(folder / "metrics.json", metrics)
    plot_confusion_matrix(examples.labels, probabilities.argmax(-1), class_names, folder / "confusion.png")
    plot_mistakes(examples.images, examples.labels, probabilities, class_names, folder / "mistakes.png")
    return metrics
