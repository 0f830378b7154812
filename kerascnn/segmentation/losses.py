"""Losses of masks on logits, float32 inside whatever the precision of the network."""

import keras
from keras import ops

from kerascnn.errors import UsageError


def foreground_logit(logits):
    """Logits (B, H, W, 1 or 2) -> float32 (B, H, W, 1), whose sigmoid is the probability of the foreground.

    Of two channels, background and foreground, the softmax depends on their difference alone. Raises UsageError for
    others.
    """
    if logits.shape[-1] not in (1, 2):
        words = f"model answers {logits.shape[-1]} channels, and masks are of one foreground"
        raise UsageError(f"{words}; build it with one or two", argument="model")
    logits = ops.cast(logits, "float32")
    return logits if logits.shape[-1] == 1 else logits[..., 1:] - logits[..., :1]


@keras.saving.register_keras_serializable(package="kerascnn")
class Tversky(keras.losses.Loss):
    """One minus the Tversky index of probabilities p and masks t, on logits (B, H, W, 1 or 2).

        index = (TP + smooth) / (TP + false_positive FP + false_negative FN + smooth)

    with TP = sum p t, FP = sum p (1 - t), FN = sum (1 - p) t over all pixels of the batch together.
    Weights 0.5 and 0.5 make it soft Dice, (2 TP + 2 smooth) / (sum p + sum t + 2 smooth); 1 and 1 Jaccard (Salehi,
    Erdogmus & Gholipour, 2017, arXiv:1706.05721, equation 3). `smooth` > 0 keeps empty masks finite: where there is no
    tumor, the loss of an empty prediction is 0. Sample weights, (B,) or (B, H, W, 1), weigh the pixels of each sum.
    """

    def __init__(self, false_positive=0.5, false_negative=0.5, smooth=0.5):
        super().__init__(name="tversky")
        if smooth <= 0:
            raise UsageError(f"smooth is {smooth}; give a number above 0, or empty masks have no loss", "smooth")
        self.false_positive, self.false_negative, self.smooth = false_positive, false_negative, smooth

    def get_config(self):
        return {name: getattr(self, name) for name in ("false_positive", "false_negative", "smooth")}

    def __call__(self, masks, logits, sample_weight=None):
        # Keras would multiply the one number that call gives
        weights = 1.0 if sample_weight is None else ops.cast(sample_weight, "float32")
        if sample_weight is not None and len(weights.shape) == 1:
            weights = ops.reshape(weights, (-1, 1, 1, 1))
        return self.call(masks, logits, weights)

    def call(self, masks, logits, weights=1.0):
        p, t = ops.sigmoid(foreground_logit(logits)), ops.cast(masks, "float32")
        hit, false, missed = (ops.sum(weights * part) for part in (p * t, p * (1 - t), (1 - p) * t))
        whole = hit + self.false_positive * false + self.false_negative * missed
        return 1 - (hit + self.smooth) / (whole + self.smooth)


@keras.saving.register_keras_serializable(package="kerascnn")
class DiceCrossEntropy(Tversky):
    """Soft Dice plus the mean cross-entropy of the pixels (Isensee et al., 2021, nnU-Net, arXiv:1904.08128)."""

    def call(self, masks, logits, weights=1.0):
        cross_entropy = ops.binary_crossentropy(ops.cast(masks, "float32"), foreground_logit(logits), from_logits=True)
        return super().call(masks, logits, weights) + ops.mean(weights * cross_entropy)


@keras.saving.register_keras_serializable(package="kerascnn")
class ForegroundLoss(keras.losses.Loss):
    """The binary loss `loss` of masks (B, H, W, 1) and logits (B, H, W, 1 or 2), of which it gets the foreground's.

    `loss` takes logits; sample weights (B, H, W, 1) weigh its pixels.
    """

    def __init__(self, loss):
        super().__init__(name=loss.name)
        self.loss = loss

    def get_config(self):
        return {"loss": keras.losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.losses.deserialize(config["loss"]))

    def __call__(self, masks, logits, sample_weight=None):
        return self.loss(masks, foreground_logit(logits), sample_weight)


def focal():
    """The focal loss of Lin et al., 2017, arXiv:1708.02002, equation 5, as Keras has it, with the paper's numbers.

    Keras keeps probabilities 1e-7 from 0 and 1: beyond logits of ±16 it differs from the equation and has no gradient.
    """
    loss = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True)
    return ForegroundLoss(loss)


def border():
    """Cross-entropy of the pixels, each weighed by its sample weight, as a mean over all pixels.

    Ronneberger, Fischer & Brox, 2015, arXiv:1505.04597, equation 1; weight_maps.border_weights makes the weights.
    """
    return ForegroundLoss(keras.losses.BinaryCrossentropy(from_logits=True))


SEGMENTATION_LOSSES = {
    "dice": Tversky,
    "dice_cross_entropy": DiceCrossEntropy,
    "jaccard": lambda: Tversky(1.0, 1.0),
    "tversky": lambda: Tversky(0.3, 0.7),
    "focal": focal,
    "border": border,
}
