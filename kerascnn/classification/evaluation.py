"""What a trained classifier is worth on examples it has never seen, as it is served: in preparation and precision."""

import numpy as np

from kerascnn.classification.metrics import classification_metrics
from kerascnn.classification.plots import confusion_matrix_plot, mistakes_sheet
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.files import write_aside, write_json
from kerascnn.saved_model.folding import folded, in_float32


def evaluate_classifier(model, prepare, examples, class_names, folder, metadata):
    """Score `model` on every one of `examples` and return the metrics.

    prepare: the function of preparation.py that the exported model uses too. metadata: what metrics.json says besides,
    JSON types. Leaves `metrics.json` (rewritten only when a figure changed), `confusion.png` and `mistakes.png` in
    `folder`.
    """
    network = folded(in_float32(model))  # what is exported
    batches = evaluation_batches(examples, prepare=prepare)
    logits = np.concatenate([network(images, training=False).numpy() for images, _ in batches])
    probabilities = softmax(logits)
    metrics = {**classification_metrics(probabilities, examples.labels, class_names), **metadata}
    predicted = probabilities.argmax(-1)
    write_json(folder / "metrics.json", metrics)
    write_aside(
        folder / "confusion.png", lambda path: confusion_matrix_plot(examples.labels, predicted, class_names, path)
    )
    write_aside(
        folder / "mistakes.png",
        lambda path: mistakes_sheet(examples.images, examples.labels, probabilities, class_names, path),
    )
    return metrics


def softmax(logits):
    """Logits (B, classes) -> probabilities (B, classes), float64, rows sum to 1."""
    powers = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
