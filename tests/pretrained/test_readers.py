import io
import subprocess
import zipfile
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from kerascnn.errors import InputError, UsageError
from kerascnn.models import builder
from kerascnn.pretrained.readers import read_weights


def in_bench_environment(code, folder, *arguments):
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": str(root), "HF_HOME": str(folder)}
    python = root / ".venv-bench" / "bin" / "python"
    command = [python, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_file_that_is_damaged_or_not_what_its_name_says_raises(tmp_path):
    for suffix in (".npz", ".h5", ".safetensors"):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(b"PK\x03\x04 no weights")
        with pytest.raises(
            InputError, match=rf"^{path} is damaged or holds more than weights \(.*\); download it again$"
        ):
            read_weights(path)
    path = tmp_path / "resnet18-f37072fd.pth"
    path.write_bytes(b"cut off")
    with pytest.raises(
        InputError, match=r"is damaged \(SHA-256 [0-9a-f]{8}…, its name says f37072fd\); download it again$"
    ):
        read_weights(path)


def test_a_file_of_keras_3s_save_weights_is_told_apart(tmp_path):
    builder("lenet5")().save_weights(tmp_path / "lenet5.weights.h5")
    with pytest.raises(
        UsageError, match=r"^file .*\.h5 comes from Keras 3's save_weights and has no names of layers; give"
    ):
        read_weights(tmp_path / "lenet5.weights.h5")


def test_a_network_within_a_model_is_told_apart(tmp_path):
    within = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Conv2D(2, 3)], name="net"
    )
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.Flatten()(within(image))).save(tmp_path / "whole.h5")
    words = r"^file .*whole.h5 has several arrays called bias below net, a model within the model; save"
    with pytest.raises(UsageError, match=words):
        read_weights(tmp_path / "whole.h5")


def test_a_pickle_is_never_executed(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path / "harm").touch, ()

    np.savez(tmp_path / "weights.npz", a=np.array([Harm()], dtype=object))
    with pytest.raises(InputError, match="is damaged or holds more than weights"):
        read_weights(tmp_path / "weights.npz")
    assert not (tmp_path / "harm").exists()


def test_other_files_and_absent_ones_are_named(tmp_path):
    with pytest.raises(
        UsageError,
        match=r"^file is .*weights.txt, which is no file of weights; give one of .safetensors, .npz, .h5, .pth, .pt",
    ):
        read_weights(tmp_path / "weights.txt")
    with pytest.raises(InputError, match=r"^cannot read .*weights.npz \(No such file or directory\); check the path$"):
        read_weights(tmp_path / "weights.npz")


def test_a_date_in_a_files_name_is_no_checksum(tmp_path):
    for name in ("resnet18-20240131", "resnet18-19991231", "l-31012024", "l-01312024"):
        np.savez(tmp_path / f"{name}.npz", a=np.ones(2))
        assert read_weights(tmp_path / f"{name}.npz")["a"].tolist() == [1, 1]
    np.savez(tmp_path / "resnet18-20241331.npz", a=np.ones(2))  # no date
    with pytest.raises(InputError, match=r"is damaged \(SHA-256 [0-9a-f]{8}…, its name says 20241331\)"):
        read_weights(tmp_path / "resnet18-20241331.npz")


def test_bfloat16_in_safetensors_is_read(tmp_path):
    values = np.array([1.0, -0.15625, 3e38]).astype(ml_dtypes.bfloat16)
    save_file({"a": values}, tmp_path / "net.safetensors")
    read = read_weights(tmp_path / "net.safetensors")["a"]
    assert read.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(read, values)


def test_an_array_that_is_shorter_than_its_entry_is_no_array(tmp_path):
    def stored(header):
        np.lib.format.write_array(content := io.BytesIO(), np.arange(6, dtype=np.float32).reshape(2, 3))
        with zipfile.ZipFile(tmp_path / "weights.npz", "w") as archive:
            archive.writestr("a.npy", content.getvalue().replace(b"(2, 3)", header))

    stored(b"(2, 3)")
    np.testing.assert_array_equal(read_weights(tmp_path / "weights.npz")["a"], [[0, 1, 2], [3, 4, 5]])
    stored(b"(2, 2)")
    with pytest.raises(InputError, match=r"weights.npz is damaged .*\(an array is followed by more than itself\)"):
        read_weights(tmp_path / "weights.npz")
