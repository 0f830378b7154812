"""How far a training is, on stderr: a bar while an epoch lasts, and one line after each."""

import sys

import keras
from tqdm import tqdm

from kerascnn.cli.messages import note


class Progress(keras.callbacks.Callback):
    """Stands after training's own callbacks, which put `images_per_second` and `seconds` into an epoch's logs.

    Use it as contextlib.closing(Progress()): an error then finds no bar on its line.
    """

    bar = None

    def on_epoch_begin(self, epoch, logs=None):
        text = f"epoch {epoch + 1}/{self.params['epochs']}"
        self.bar = tqdm(total=self.params["steps"], desc=text, unit="step", leave=False, disable=None, file=sys.stderr)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(batch + 1 - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        self.close()
        shown = "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if "second" not in name)
        note(f"epoch {epoch + 1}/{self.params['epochs']}  {shown}  {logs['images_per_second']:,.0f} images/s")

    def close(self):
        if self.bar is not None:
            self.bar.close()
