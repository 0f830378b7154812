from dataclasses import replace

import keras
import pytest
from tensorflow.python.util import _pywrap_util_port

from kerascnn.models import builder
from kerascnn.training import precision
from tests.interrupting import Stop
from tests.training.runs import RECIPE, history, train


@pytest.mark.parametrize(
    ("name", "shape", "pays"),
    [
        ("airbench", (32, 32, 3), True),
        ("vgg_digits", (28, 28, 1), True),
        ("resnet20", (32, 32, 3), True),  # of 16 to 64 channels
        ("lenet5", (28, 28, 1), False),
        ("mlp", (28, 28, 1), False),
        ("resnet18", (None, None, 3), True),
    ],
)
def test_bfloat16_pays_for_convolutions_of_16_channels_on_a_cpu_with_units_for_it(
    name, shape, pays, tmp_path, monkeypatch
):
    # what Linux says of such processors; the one that runs this may have no units
    model, cpu = builder(name)(shape, 10), tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "CPU_INFO", cpu)
    for flags, expected in (("avx512f avx512_bf16 fma", pays), ("amx_tile amx_bf16", pays), ("avx512f fma", False)):
        cpu.write_text(f"processor : 0\nflags : fpu {flags}\n")
        assert precision.bfloat16_pays(model) == expected
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "none")
    assert not precision.bfloat16_pays(model)


def test_a_run_goes_on_where_auto_stands_for_another_precision(tmp_path, monkeypatch):
    recipe = replace(RECIPE, precision="auto")
    # as on a processor with units for it, and on one without
    monkeypatch.setattr(precision, "half_precision", lambda model: "mixed_bfloat16")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, recipe, callbacks=[Stop(1)])
    monkeypatch.setattr(precision, "half_precision", lambda model: "float32")
    train(tmp_path, recipe)
    assert len(history(tmp_path)) == 2


@pytest.mark.parametrize(("wanted", "enabled", "said"), [("1", False, True), ("1", True, False), ("0", False, False)])
def test_tensorflow_that_was_loaded_without_onednn_is_said(wanted, enabled, said, monkeypatch, caplog):
    # which of them this processor is depends on its age
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", wanted)
    monkeypatch.setattr(_pywrap_util_port, "IsMklEnabled", lambda: enabled)
    precision.warn_without_onednn()
    assert ("import kerascnn before keras" in caplog.text) == said


def test_a_model_that_was_built_in_half_precision_trains_in_full_where_that_is_asked_for():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = builder("mlp")()
    finally:
        keras.config.set_dtype_policy("float32")
    with precision.computing_in(model, "float32"):
        assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
