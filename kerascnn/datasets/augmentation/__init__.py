"""What Recipe.augmentations holds: random changes of whole batches, as pure functions of images, labels and a seed.

Each is called as augmentation(images, labels, seed, *weights) and returns (images, labels, *weights): images float32
(B, H, W, C) in [0, 1] with known H, W, C; labels int32 (B,), float32 (B, classes) where they are mixed, or masks
float32 (B, H, W, 1); seed int (2,), another one at every step; weights where the examples have them. A function of
one's own serves as well, and so does a random layer of Keras, see `as_augmentation`. One whose attribute `by_epoch` is
true gets epoch, epochs, examples and count besides, as AlternatingFlip does.

Written in TensorFlow ops because they run inside tf.data; keras.ops would be drawn with unseeded state there.
"""

from kerascnn.datasets.augmentation.crops import AlternatingFlip, Cutout, HorizontalFlip, RandomCrop
from kerascnn.datasets.augmentation.distortion import Distortion
from kerascnn.datasets.augmentation.growing_images import GrowingImages
from kerascnn.datasets.augmentation.intensity import ColourNoise, Intensity, SingleChannel
from kerascnn.datasets.augmentation.keras_layers import as_augmentation, unfolded
from kerascnn.datasets.augmentation.mixing import CarveMix, CutMix, MixUp
from kerascnn.datasets.augmentation.rand_augment import RandAugment
from kerascnn.datasets.augmentation.resized_crop import RandomResizedCrop

__all__ = [
    "AlternatingFlip",
    "CarveMix",
    "ColourNoise",
    "CutMix",
    "Cutout",
    "Distortion",
    "GrowingImages",
    "HorizontalFlip",
    "Intensity",
    "SingleChannel",
    "MixUp",
    "RandAugment",
    "RandomCrop",
    "RandomResizedCrop",
    "as_augmentation",
    "unfolded",
]
