"""PyTorch's files, written here opcode by opcode; `make parity` reads what PyTorch itself has written."""

import io
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from kerascnn.errors import InputError, UsageError
from kerascnn.pretrained.readers import read_weights
from tests.pretrained.test_readers import in_bench_environment

STORAGES = {"float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "float64": "Double"}


class Raw(bytes):
    """Opcodes that stand for themselves."""


def opcodes(value, storages):
    """What torch.save pickles for a value, without beginning and end; the arrays in it go to `storages`."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        items = b"".join(opcodes(key, storages) + opcodes(inside, storages) for key, inside in value.items())
        return b"ccollections\nOrderedDict\n)R(" + items + b"u"
    if isinstance(value, np.ndarray):
        key = str(len(storages))
        storages[key] = value
        return tensor(value, key, 0, value.shape, [stride // value.itemsize for stride in value.strides])
    return pickle.dumps(value, 2)[2:-1]


def tensor(array, key, offset, shape, strides):
    """A tensor that sees the storage `key`, the numbers of `array`, by offset, shape and strides."""
    plain = [
        opcodes(value, None) for value in ("storage", key, "cpu", array.size, offset, tuple(shape), tuple(strides))
    ]
    kind = f"ctorch\n{STORAGES[array.dtype.name]}Storage\n".encode()
    storage = b"(" + plain[0] + kind + b"".join(plain[1:4]) + b"NtQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"".join(plain[4:]) + hooks + b"tR"


def write_zip(path, content, byteorder=b"little", compression=zipfile.ZIP_STORED):
    storages = {}
    data = b"\x80\x02" + opcodes(content, storages).replace(b"NtQ", b"tQ") + b"."  # None is of the older format alone
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/byteorder", byteorder)
        for key, array in storages.items():
            archive.writestr(f"net/data/{key}", array.tobytes("A"))


def write_older(path, content):
    """What PyTorch wrote before 1.6, and still does with _use_new_zipfile_serialization=False."""
    storages, file = {}, io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
        pickle.dump(value, file, 2)
    file.write(b"\x80\x02" + opcodes(content, storages) + b".")
    pickle.dump(sorted(storages), file, 2)
    for _, array in sorted(storages.items()):
        file.write(array.size.to_bytes(8, "little") + array.tobytes("A"))
    path.write_bytes(file.getvalue())


FORMATS = pytest.mark.parametrize("write", [write_zip, write_older])
DRAW = np.random.default_rng(0)
WEIGHTS = {
    "conv1.weight": DRAW.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "conv1.transposed": DRAW.normal(size=(4, 3)).astype(np.float32).T,
    "bn1.half": DRAW.normal(size=5).astype(np.float16),
    "bn1.brain": DRAW.normal(size=5).astype(ml_dtypes.bfloat16),
    "bn1.num_batches_tracked": np.array(7),
}


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


@FORMATS
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".bin", ".ckpt"])
def test_both_formats_are_read_under_every_ending(tmp_path, write, suffix):
    write(tmp_path / f"net{suffix}", WEIGHTS)
    assert_same(read_weights(tmp_path / f"net{suffix}"), WEIGHTS)


@FORMATS
def test_tensors_that_share_numbers_see_their_own_part(tmp_path, write):
    numbers = np.arange(12, dtype=np.float32)
    views = {"all": numbers, "part": Raw(tensor(numbers, "0", 2, (2, 3), (4, 1))), "column": numbers}
    views["column"] = Raw(tensor(numbers, "0", 3, (2,), (5,)))
    write(tmp_path / "net.pth", views)
    arrays = read_weights(tmp_path / "net.pth")
    assert arrays["part"].tolist() == [[2, 3, 4], [6, 7, 8]]
    assert arrays["column"].tolist() == [3, 8]


BESIDE = {
    "epoch": 90,
    "best": 93.5,
    "args": Raw(b"cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrG?\xb9\x99\x99\x99\x99\x99\x9asb"),
    "accuracy": Raw(b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR(K\x03tbNtR"),
    "optimizer": {"state": {0: {"momentum_buffer": np.ones(3, np.float32)}}, "param_groups": [{"lr": 0.1}]},
}


@FORMATS
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "net", "state_dict_ema"])
def test_the_one_dict_of_tensors_is_found_in_a_checkpoint(tmp_path, write, key):
    write(tmp_path / "net.pth", {key: WEIGHTS, **BESIDE})
    assert_same(read_weights(tmp_path / "net.pth"), WEIGHTS)


def test_of_several_dicts_of_tensors_a_key_chooses(tmp_path):
    path = tmp_path / "net.pth"
    write_zip(path, {"state_dict": WEIGHTS, "ema": {"shadow": {"a": np.zeros(2)}}, **BESIDE})
    assert_same(read_weights(path, "ema.shadow"), {"a": np.zeros(2)})
    for key in (None, "net"):
        words = rf"^key is {key!r}, but .*net.pth holds tensors under 'state_dict', 'ema.shadow'; choose one$"
        with pytest.raises(UsageError, match=words) as raised:
            read_weights(path, key)
        assert raised.value.argument == "key"


def test_a_key_where_there_are_none_is_told(tmp_path):
    write_zip(tmp_path / "net.pth", WEIGHTS)
    with pytest.raises(UsageError, match=r"^key is 'net', but .*net.pth holds its tensors under none; leave it out$"):
        read_weights(tmp_path / "net.pth", "net")
    with pytest.raises(UsageError, match=r"^key is 'net', but only files of PyTorch have keys; leave it out$"):
        read_weights(tmp_path / "net.npz", "net")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "loss": 0.5}, r"a dict of 'epoch', 'loss'"),
        ([1, 2], "list"),
        ({"a": np.ones(2), "epoch": 3}, r"a dict of 'a', 'epoch'"),
    ],
)
def test_a_file_without_a_dict_of_tensors_says_what_it_holds(tmp_path, content, words):
    write_zip(tmp_path / "net.pth", content)
    with pytest.raises(InputError, match=rf"net.pth holds no dict of tensors \({words}\); give a file of weights$"):
        read_weights(tmp_path / "net.pth")


@FORMATS
def test_code_in_a_file_is_never_run(tmp_path, write):
    harm = b"cbuiltins\nexec\n(" + opcodes(f"open({str(tmp_path / 'harm')!r}, 'w')", None) + b"tR"
    for content in ({"fc.bias": Raw(harm)}, {"state_dict": WEIGHTS, "optimizer": Raw(harm)}):
        write(tmp_path / "net.pth", content)
        words = "net.pth holds an object of 'builtins.exec', which is never loaded from a file; save the model's state_"
        with pytest.raises(InputError, match=words):
            read_weights(tmp_path / "net.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("module", ["argparse\nNamespace", "collections\nOrderedDict", "torch\nSize"])
def test_a_pickle_cannot_change_what_later_ones_are_read_with(tmp_path, module):
    setting = f"c{module}\n".encode() + b"(N}X\x08\x00\x00\x00__init__K\x01stb"
    write_zip(tmp_path / "bad.pth", {"state_dict": WEIGHTS, "args": Raw(setting)})
    with pytest.raises(InputError, match="bad.pth is damaged or holds more than weights"):
        read_weights(tmp_path / "bad.pth")
    write_zip(tmp_path / "good.pth", {"state_dict": WEIGHTS, **BESIDE})
    assert_same(read_weights(tmp_path / "good.pth"), WEIGHTS)


BEYOND = [
    (0, (13,), (1,)),
    (1, (3, 4), (4, 1)),
    (-1, (2,), (1,)),
    (5, (2,), (-1,)),
    (0, (99, 99), (0, 0)),
    (0, (2, -1), (1, 1)),
]


@FORMATS
@pytest.mark.parametrize(("offset", "shape", "strides"), BEYOND)
def test_a_tensor_beyond_its_numbers_raises(tmp_path, write, offset, shape, strides):
    numbers = np.arange(12, dtype=np.float32)
    write(tmp_path / "net.pth", {"all": numbers, "beyond": Raw(tensor(numbers, "0", offset, shape, strides))})
    with pytest.raises(InputError, match=r"is damaged .*\(a tensor that reaches beyond its numbers\); download it"):
        read_weights(tmp_path / "net.pth")


def test_what_pytorch_does_not_write_raises(tmp_path):
    path = tmp_path / "net.pth"
    write_zip(path, WEIGHTS, byteorder=b"big")
    with pytest.raises(InputError, match=r"is damaged .*\(numbers of which the highest byte comes first\)"):
        read_weights(path)
    write_zip(path, WEIGHTS, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"is damaged .*\(compressed entries\)"):
        read_weights(path)
    # 4 billion places in the memo, for which Python would make room
    write_older(path, {"state_dict": WEIGHTS, "epoch": Raw(b"K\x01r\xff\xff\xff\xff")})
    with pytest.raises(InputError, match=r"is damaged .*\(a pickle of which the memo has gaps\)"):
        read_weights(path)
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(InputError, match=r"is damaged .*\(no file of PyTorch\)"):
        read_weights(path)


@FORMATS
def test_every_damage_ends_in_an_input_error_or_in_whole_tensors(tmp_path, write):
    path = tmp_path / "net.pth"
    write(path, {"state_dict": WEIGHTS, **BESIDE})
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    messages = []
    for i in range(600):
        damaged = bytearray(whole[: draw.integers(len(whole))] if i % 3 == 0 else whole)
        for position in draw.integers(max(len(damaged), 1), size=i % 3):
            damaged[position] = draw.integers(256)
        path.write_bytes(damaged)
        try:
            arrays = read_weights(path)
        except (InputError, UsageError) as error:
            messages.append(str(error))
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert len(messages) >= 200  # all that are cut off
    assert not any("\n" in message for message in messages)


WRITTEN = """
import argparse, numpy as np, torch

net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2).bfloat16())
optimizer = torch.optim.Adam(net.parameters())
sum(p.float().sum() for p in net.parameters()).backward()
optimizer.step()
beside = {"optimizer": optimizer.state_dict(), "args": argparse.Namespace(lr=0.1), "best": np.float64(3)}
older = {"_use_new_zipfile_serialization": False}
for name, how in (("zip", {}), ("protocol4", {"pickle_protocol": 4}), ("older", older)):
    torch.save({"state_dict": torch.nn.DataParallel(net).state_dict(), **beside}, f"{name}.pth", **how)
    torch.save(net, f"{name}.bin", **how)
np.savez("expected.npz", **{f"module.{k}": v.float().numpy() for k, v in net.state_dict().items()})
"""


@pytest.mark.parity
def test_what_pytorch_writes_is_read_without_it(tmp_path):
    assert in_bench_environment(WRITTEN, tmp_path).returncode == 0
    expected = np.load(tmp_path / "expected.npz")
    for name in ("zip", "protocol4", "older"):
        arrays = read_weights(tmp_path / f"{name}.pth")
        assert {name: array.astype(np.float32).tolist() for name, array in arrays.items()} == {
            name: expected[name].tolist() for name in expected
        }
        with pytest.raises(InputError, match="holds an object of 'torch.nn.modules.container.Sequential', which"):
            read_weights(tmp_path / f"{name}.bin")
