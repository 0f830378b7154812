"""Layers that Keras lacks: those of the classic networks, and the classic image filters.

All are channels last, whatever the user's keras.json says. Importing this package registers them with Keras, so that
`keras.saving.load_model` knows them.
"""

from kerascnn.layers.convolution import Dirac, FullConv2D, GroupedConv2D, ReflectPadding2D, ZeroPadShortcut, zero_padded
from kerascnn.layers.filters import FILTERS, KERNELS, FixedFilter, MedianFilter, gaussian
from kerascnn.layers.lenet import CodeDistance, TableConv2D, TrainableSubsampling, scaled_tanh
from kerascnn.layers.normalization import BatchRenormalization, LocalResponseNormalization
from kerascnn.layers.pooling import CeilingMaxPooling2D, MinPooling2D
