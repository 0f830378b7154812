import subprocess
from pathlib import Path

import numpy as np
import pytest

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
    with pytest.raises(UsageError, match=r"comes from Keras 3's save_weights and has no names of layers; give a file"):
        read_weights(tmp_path / "lenet5.weights.h5")


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
        UsageError, match=r"weights.txt is no file of weights; give one of .safetensors, .npz, .h5, .pth"
    ):
        read_weights(tmp_path / "weights.txt")
    with pytest.raises(InputError, match=r"^cannot read .*weights.npz \(No such file or directory\); check the path$"):
        read_weights(tmp_path / "weights.npz")


@pytest.mark.parity
def test_a_file_of_pytorch_is_read_without_executing_what_is_pickled_in_it(tmp_path):
    code = """
import pathlib, sys, torch
from kerascnn.errors import InputError
from kerascnn.pretrained.readers import read_weights

class Harm:
    def __reduce__(self):
        return pathlib.Path("harm").touch, ()

torch.save({"fc.bias": torch.arange(3.0)}, "good.pth")
print(read_weights("good.pth")["fc.bias"].tolist())
torch.save({"fc.bias": Harm()}, "bad.pth")
try:
    read_weights("bad.pth")
except InputError as error:
    print(error)
print(pathlib.Path("harm").exists())
for number, content in enumerate(([1, 2], {"a": 3}, {"state_dict": {"b": torch.ones(2, dtype=torch.bfloat16)}})):
    torch.save(content, f"{number}.pth")
    try:
        print({name: value.tolist() for name, value in read_weights(f"{number}.pth").items()})
    except InputError as error:
        print(error)
"""
    ran = in_bench_environment(code, tmp_path)
    values, rejected, harmed, of_list, of_number, nested = ran.stdout.splitlines()
    assert values == "[0.0, 1.0, 2.0]"
    reason = "pickled objects other than tensors, which are never loaded"
    assert rejected == f"bad.pth is damaged or holds more than weights ({reason}); download it again"
    assert harmed == "False"
    assert of_list.startswith("0.pth is damaged or holds more than weights (a list and no state dict)")
    assert of_number.startswith("1.pth is damaged or holds more than weights (")
    assert nested == "{'b': [1.0, 1.0]}"
