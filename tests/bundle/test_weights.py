import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from regard.bundle.weights import (
    check_header,
    check_shapes,
    distinct,
    filled,
    misfits,
    planned,
    read_weights,
    refuse_more_layers,
)
from regard.errors import BundleError
from regard.models import MODELS
from regard.models.transformer import Transformer, TransformerConfig

SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8)
TENSORS = {"a": torch.tensor([[1.0, -2.5]]), "b": torch.arange(3.0)}
SHAPES = {"a": (1, 2), "b": (3,)}


@pytest.fixture
def path(tmp_path) -> Path:
    save_file(TENSORS, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_weights_come_back_as_they_were(path):
    found = read_weights(path, SHAPES, "float32")
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_what_was_read_does_not_hang_on_the_file(path):
    found = read_weights(path, SHAPES, "float32")
    path.write_bytes(b"\0" * path.stat().st_size)
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_weights_of_half_precision_become_float32(path):
    save_file({name: tensor.bfloat16() for name, tensor in TENSORS.items()}, path)
    found = read_weights(path, SHAPES, "bfloat16")
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    ("dtype", "said", "found"),
    [
        *((torch.bfloat16, "float32", "BF16"), (torch.float32, "bfloat16", "F32"), (torch.float64, "float32", "F64")),
        *((torch.int64, "float32", "I64"), (torch.float16, "bfloat16", "F16")),
    ],
)
def test_weights_of_another_type_than_the_settings_say_are_refused(path, dtype, said, found):
    save_file({name: tensor.to(dtype) for name, tensor in TENSORS.items()}, path)
    with pytest.raises(BundleError, match=rf"has weights of the type {found}; config\.json says {said}\. Restore"):
        read_weights(path, SHAPES, said)


def test_weights_of_two_types_are_refused(path):
    save_file({"a": TENSORS["a"].bfloat16(), "b": TENSORS["b"]}, path)
    with pytest.raises(BundleError, match=r"has weights of the type BF16, F32; config\.json says float32"):
        read_weights(path, SHAPES, "float32")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_that_is_no_number_is_named(path, dtype, value):
    spoilt = torch.tensor([0.0, value, 0.0])
    save_file({"a": TENSORS["a"].to(dtype), "b": spoilt.to(dtype)}, path)
    with pytest.raises(BundleError, match=r"model\.safetensors: the weights of b are not finite"):
        read_weights(path, SHAPES, "float32" if dtype == torch.float32 else "bfloat16")


def test_shapes_are_compared_before_anything_is_read(path):
    header = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    with pytest.raises(BundleError, match=r"is not a safetensors file|does not fit"):
        read_weights(path, {"a": (2**40,)}, "float32")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": (2, 1), "b": (3,)}, r"a is \(2, 1\), expected \(1, 2\)\."),
        ({"a": (1, 2)}, r"b is missing, expected \(3,\)\."),
        ({"a": (1, 2), "b": (3,), "c\x1b[0m": ()}, r"c\\x1b\[0m is \(\), expected none of that name\."),
        (dict.fromkeys("cdefg", (1,)), r"a is missing, .*; b is missing, .*; c is \(1,\), .* \(and 4 more\)\."),
    ],
)
def test_each_tensor_that_does_not_fit_is_named_up_to_three(found, message):
    with pytest.raises(BundleError, match=rf"model does not fit config\.json: {message} Restore"):
        check_shapes(Path("model"), found, SHAPES)


def test_tensors_that_fit_in_any_order_are_accepted():
    backwards = dict(reversed(SHAPES.items()))
    check_shapes(Path("model"), backwards, SHAPES)
    assert [*backwards] != [*SHAPES] and not list(misfits(backwards, SHAPES))


@pytest.mark.parametrize("start", [b"", b"\1\0\0", struct.pack("<Q", 0), struct.pack("<Q", 2**21 + 1), b"\xff" * 8])
def test_a_list_of_tensors_longer_than_any_of_ours_is_refused(tmp_path, start):
    (tmp_path / "w").write_bytes(start)
    with pytest.raises(
        BundleError, match="w is not a safetensors file of regard: its list of tensors has a wrong length"
    ):
        check_header(tmp_path / "w")


@pytest.mark.parametrize(
    "content", [b"{}", b"[1]", b'{"a": {"dtype": "F99", "shape": [], "data_offsets": [0, 0]}}', b"x\x1b"]
)
def test_what_is_no_safetensors_file_is_said_on_one_line(tmp_path, content):
    path = tmp_path / "w"
    path.write_bytes(struct.pack("<Q", len(content)) + content + b"rest")
    with pytest.raises(BundleError, match=r"w (is not a safetensors file|does not fit)") as caught:
        read_weights(path, {"a": ()}, "float32")
    assert str(caught.value).isprintable()


def test_the_largest_model_that_can_be_described_has_a_list_of_tensors_that_is_read():
    config = TransformerConfig(width=2**5, n_encoder_layers=256, n_decoder_layers=256)
    model = planned("transformer", config, (300, 300), 0)
    entries = {
        name: {"dtype": "BF16", "shape": [2**15] * x.ndim, "data_offsets": [10**13, 10**13]}
        for name, x in distinct(model).items()
    }
    assert len(json.dumps(entries)) < 2**21


@pytest.mark.parametrize("family", MODELS)
def test_a_planned_model_takes_no_memory_and_draws_nothing_and_is_filled(family):
    config, cls = MODELS[family]
    torch.manual_seed(3)
    whole = cls(config.small(), 50, 50, n_control=4).eval()
    before = torch.get_rng_state()
    model = planned(family, config.small(), (50, 50), 4)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}
    assert torch.equal(torch.get_rng_state(), before)
    model = filled(model, {name: tensor.detach() for name, tensor in distinct(whole).items()}).eval()
    assert {x.device.type for x in [*model.parameters(), *model.buffers()]} == {"cpu"}
    ours, theirs = model.state_dict(), whole.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    tied = [[a is b for b in of.parameters()] for of in (model, whole) for a in of.parameters()]
    assert tied[: len(tied) // 2] == tied[len(tied) // 2 :]
    assert model.never_written == whole.never_written


def test_a_tied_parameter_is_there_once_under_its_first_name():
    model = Transformer(SMALL, 20, 20)
    names = list(distinct(model))
    assert sum(name.startswith("embeddings") for name in names) == 1
    assert {id(x) for x in distinct(model).values()} == {id(x) for x in model.parameters()}
    untied = Transformer(SMALL.model_copy(update={"tied": "none"}), 20, 20)
    assert sum(name.startswith("embeddings") for name in distinct(untied)) == 3


@pytest.mark.parametrize("family", MODELS)
def test_a_file_has_enough_tensors_for_the_layers_that_it_was_saved_with_and_not_for_many_more(family, tmp_path):
    config, cls = MODELS[family]
    small = config.small()
    names = [name for name in small.model_dump() if name.endswith("layers")]
    small = small.model_copy(update=dict.fromkeys(names, 3))
    save_file({name: x.detach() for name, x in distinct(cls(small, 50, 50)).items()}, tmp_path / "w")
    refuse_more_layers(tmp_path / "w", small)
    if names:
        with pytest.raises(
            BundleError, match=r"w does not fit config\.json: \d+ tensors are too few for \d+ layers\. Restore"
        ):
            refuse_more_layers(tmp_path / "w", small.model_copy(update=dict.fromkeys(names, 200)))


def test_what_is_no_safetensors_file_has_tensors_for_no_layer(tmp_path):
    (tmp_path / "w").write_bytes(struct.pack("<Q", 3) + b"x\x1by")
    with pytest.raises(BundleError, match="w is not a safetensors file: ") as caught:
        refuse_more_layers(tmp_path / "w", SMALL)
    assert str(caught.value).isprintable()


def test_a_model_is_planned_without_importing_a_compiler():
    program = (
        "import sys\n"
        "from regard.bundle.weights import planned\n"
        "from regard.models import MODELS\n"
        "for family, (config, _) in MODELS.items():\n"
        "    planned(family, config.small(), (300, 300), 0)\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["False"]
