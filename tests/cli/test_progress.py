import contextlib
import io
import sys

from kerascnn.cli.progress import Progress

LOGS = {"accuracy": 0.91, "loss": 0.25, "val_loss": 0.123456, "images_per_second": 12345, "seconds": 1.25}


def test_a_line_is_left_after_each_epoch_and_no_bar_where_nobody_looks(capsys):
    with contextlib.closing(Progress()) as progress:
        progress.set_params({"epochs": 3, "steps": 4})
        progress.on_epoch_begin(1)
        progress.on_train_batch_end(3)
        progress.on_epoch_end(1, LOGS)
    line = "epoch 2/3  accuracy 0.91  loss 0.25  val_loss 0.1235  12,345 images/s\n"
    assert capsys.readouterr() == ("", line)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_error_finds_no_bar_on_its_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with contextlib.closing(Progress()) as progress:
        progress.set_params({"epochs": 3, "steps": 4})
        progress.on_epoch_begin(0)
        progress.on_train_batch_end(1)
        assert "epoch 1/3:" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")
    assert not terminal.getvalue().rsplit("\r", 2)[1].strip()
