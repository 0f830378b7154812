"""Losses that Keras lacks, on logits, float32 inside whatever the precision of the network."""

import keras
from keras import ops


def foreground_logit(logits):
    """Logits (B, H, W, 1 or 2) -> float32 (B, H, W, 1), whose sigmoid is the probability of the foreground.

    Of two channels, background and foreground, the softmax depends on their difference alone.
    """
    logits = ops.cast(logits, "float32")
    return logits if logits.shape[-1] == 1 else logits[..., 1:] - logits[..., :1]


@keras.saving.register_keras_serializable(package="kerascnn")
class Tversky(keras.losses.Loss):
    """One minus the Tversky index of probabilities p and masks t, on logits (B, H, W, 1 or 2).

        index = (TP + smooth) / (TP + false_positive FP + false_negative FN + smooth)

    with TP = sum p t, FP = sum p (1 - t), FN = sum (1 - p) t over all pixels of the batch together, or of each image
    when per_image. Weights 0.5 and 0.5 make it soft Dice, (2 TP + 2 smooth) / (sum p + sum t + 2 smooth); 1 and 1
    Jaccard (Salehi, Erdogmus & Gholipour, 2017, arXiv:1706.05721, equation 3). `smooth` > 0 keeps empty masks finite:
    where there is no tumor, the loss of an empty prediction is 0. Further channels of the masks are not looked at.
    """

    def __init__(
        self, false_positive=0.5, false_negative=0.5, smooth=0.5, per_image=False, name="overlap", **kwargs
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        if smooth <= 0:
            raise ValueError(f"smooth is {smooth}; give a number above 0, or empty masks have no loss")
        self.false_positive, self.false_negative = false_positive, false_negative
        self.smooth, self.per_image = smooth, per_image

    def call(self, masks, logits):
        p, t = ops.sigmoid(foreground_logit(logits)), ops.cast(masks[..., :1], "float32")
        axes = (1, 2, 3) if self.per_image else None
        hit, false, missed = (ops.sum(part, axes) for part in (p * t, p * (1 - t), (1 - p) * t))
        whole = hit + self.false_positive * false + self.false_negative * missed
        return 1 - (hit + self.smooth) / (whole + self.smooth)

    def get_config(self):
        own = {name: getattr(self, name) for name in ("false_positive", "false_negative", "smooth", "per_image")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerascnn")
class DiceCrossEntropy(Tversky):
    """Soft Dice plus the mean cross-entropy of the pixels (Isensee et al., 2021, nnU-Net, arXiv:1904.08128)."""

    def call(self, masks, logits):
        z, t = foreground_logit(logits), ops.cast(masks[..., :1], "float32")
        return super().call(masks, logits) + ops.mean(pixel_cross_entropy(t, z))


@keras.saving.register_keras_serializable(package="kerascnn")
class FocalLoss(keras.losses.Loss):
    """Cross-entropy of the pixels in which easy ones count less: -balance_t (1 - p_t)^gamma log p_t, on logits.

    Lin et al., 2017, arXiv:1708.02002, equation 5; balance_t is `balance` for the foreground and 1 - balance for the
    background. The mean over all pixels of (B, H, W, 1 or 2).
    """

    def __init__(self, gamma=2.0, balance=0.25, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma, self.balance = gamma, balance

    def call(self, masks, logits):
        z, t = foreground_logit(logits), ops.cast(masks[..., :1], "float32")
        cross_entropy = pixel_cross_entropy(t, z)
        balance = t * self.balance + (1 - t) * (1 - self.balance)
        return ops.mean(balance * (1 - ops.exp(-cross_entropy)) ** self.gamma * cross_entropy)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "balance": self.balance}


@keras.saving.register_keras_serializable(package="kerascnn")
class WeightedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of the pixels, each weighed by the masks' second channel, on logits (B, H, W, 1 or 2).

    masks: (B, H, W, 2), mask and weight. Ronneberger, Fischer & Brox, 2015, arXiv:1505.04597, equation 1, as a mean.
    """

    def __init__(self, name="weighted_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, masks, logits):
        masks = ops.cast(masks, "float32")
        return ops.mean(masks[..., 1:] * pixel_cross_entropy(masks[..., :1], foreground_logit(logits)))


def pixel_cross_entropy(t, z):
    """-t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), finite for every finite z; float32 of any shape."""
    return ops.softplus(z) - z * t


MASK_LOSSES = {
    "dice": Tversky,
    "dice_cross_entropy": DiceCrossEntropy,
    "jaccard": lambda: Tversky(1.0, 1.0),
    "tversky": lambda: Tversky(0.3, 0.7),
    "focal": FocalLoss,
    "border": WeightedCrossEntropy,
}
