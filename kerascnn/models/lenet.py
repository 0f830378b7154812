"""LeNet-5: Gradient-Based Learning Applied to Document Recognition.

Paper   LeCun, Bottou, Bengio & Haffner, 1998. Proceedings of the IEEE 86(11), section II.B, figure 2 and table I.
Idea    Small kernels shared over the whole image find the same stroke wherever it lies; averaging between them
        makes the answer depend less and less on where exactly that was.
Input   (B, 28, 28, 1) float32 in [0, 1], ink bright; `lenet_homework` (B, 32, 32, 3).
Output  (B, num_classes) float32 logits; in `lenet5_1998` minus squared distances, for at most ten classes.

                     lenet5          lenet5_1998     lenet_homework
    input      32 × 32 × 1 after 2 pixels of padding    32 × 32 × 3
    c1         28 × 28 × 6           28 × 28 × 6        28 × 28 × 8     5×5 convolution
    s2         14 × 14 × 6           14 × 14 × 6        14 × 14 × 8     2×2 subsampling
    c3         10 × 10 × 16          10 × 10 × 16       10 × 10 × 16    5×5 convolution
    s4          5 × 5 × 16            5 × 5 × 16         5 × 5 × 16     2×2 subsampling
    c5                120                   120                120      dense: a 5×5 convolution of 5 × 5
    embedding          84                    84                 84      dense, f6 in the paper
    logits    num_classes           num_classes        num_classes      dense; distances to codes in lenet5_1998

Differs from the paper
    * `lenet5_1998`: the bitmaps that serve as codes are drawn anew, since the paper only shows them in a figure. Logits
      go into softmax cross-entropy, the paper's equation 9 without its constant j. Only f6 begins within 2.4 / fan-in
      as there; other weights begin with standard deviation 1 / sqrt(fan-in), and subsampling begins as an average.
    * `lenet5` is the form taught today: every channel of c3 sees all six of s2, averages have no trainable
      coefficient, tanh is not scaled, input stays in [0, 1], and linear outputs stand in place of the distances.
    * `lenet_homework` is an exercise modelled on LeNet-5: colour images without padding, 8 channels in c1. A table of
      its sizes leaves the rest open; here it is ReLU, and subsampling takes the maximum.
"""

import keras
from keras import layers

from kerascnn.errors import UsageError
from kerascnn.layers import CodeDistance, TableConv2D, TrainableSubsampling, scaled_tanh
from kerascnn.models.input_shape import check_size

# Table I of the paper, column by column: the channels of s2 that each of the 16 channels of c3 sees.
CONNECTIONS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# The digits 0 to 9, each 7 pixels wide and 12 high.
BITMAPS = """
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# #.....# ....##. #...... .#..... ......# #.....# #.....#
#.....# .#.#... ......# ......# ...#.#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....#. ......# .#...#. ######. #...... ....#.. #.....# #.....#
#.....# ...#... ....#.. ..####. #....#. ......# ######. ....#.. .#####. .######
#.....# ...#... ...#... ......# #....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# ......#
#.....# ...#... #...... ......# .....#. ......# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #.....# #.....# ..#.... #.....# .....#.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
"""


def lenet5(input_shape=(28, 28, 1), num_classes=10):
    """LeNet-5 as it is taught today, 61,706 trainable parameters."""
    check_size(input_shape, 12, "lenet5", num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    x = layers.ZeroPadding2D(2, name="pad")(x)
    x = layers.Conv2D(6, 5, activation="tanh", name="c1")(x)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="c3")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="tanh", name="c5")(x)
    x = layers.Dense(84, activation="tanh", name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="lenet5")


def digit_codes(num_classes):
    """The first `num_classes` of BITMAPS as lists of 84 values, row by row: +1 where there is ink, -1 elsewhere."""
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    return [[1 if pixel == "#" else -1 for row in rows for pixel in row[digit]] for digit in range(num_classes)]


def lenet5_1998(input_shape=(28, 28, 1), num_classes=10):
    """LeNet-5 as published, 60,000 trainable parameters and 840 non-trainable code values.

    Raises UsageError for more than ten classes: there are codes for the ten digits only.
    """
    check_size(input_shape, 12, "lenet5_1998", num_classes)
    if num_classes > 10:
        raise UsageError(f"num_classes is {num_classes}, and lenet5_1998 has codes for 10; use lenet5 for more")
    tanh = {"activation": scaled_tanh, "kernel_initializer": "lecun_uniform"}
    image = keras.Input(input_shape, name="image")
    # Padding comes before the scaling here, because the paper's background is -0.1 and not 0.
    x = layers.ZeroPadding2D(2, name="pad")(image)
    x = layers.Rescaling(1.275, -0.1, name="normalize")(x)
    x = layers.Conv2D(6, 5, **tanh, name="c1")(x)
    x = TrainableSubsampling(scaled_tanh, name="s2")(x)
    x = TableConv2D(CONNECTIONS, 5, scaled_tanh, name="c3")(x)
    x = TrainableSubsampling(scaled_tanh, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, **tanh, name="c5")(x)
    # 2.4 / 120, so that all distances begin alike; at the scale of the other layers the softmax begins saturated.
    near_zero = keras.initializers.RandomUniform(-0.02, 0.02)
    x = layers.Dense(84, activation=scaled_tanh, kernel_initializer=near_zero, name="embedding")(x)
    logits = CodeDistance(digit_codes(num_classes), dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="lenet5_1998")


def lenet_homework(input_shape=(32, 32, 3), num_classes=10):
    """The LeNet-5 of homework sheets, 62,958 trainable parameters."""
    check_size(input_shape, 16, "lenet_homework", num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    x = layers.Conv2D(8, 5, activation="relu", name="c1")(x)
    x = layers.MaxPooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="relu", name="c3")(x)
    x = layers.MaxPooling2D(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="relu", name="c5")(x)
    x = layers.Dense(84, activation="relu", name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="lenet_homework")
