import json
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from tests.fakes import CPU, SMALL, flip_bit, reseal, small_bundle

from regard.batch import collate
from regard.bundle import save_bundle
from regard.bundle.card import Progress
from regard.errors import BundleError
from regard.models.transformer import Transformer
from regard.training.config import TrainingConfig
from regard.training.gradients import batch_loss
from regard.training.optimiser import Optimiser
from regard.training.randomness import random_state
from regard.training.state import (
    NUMBERS,
    TENSORS,
    TrainState,
    read_state,
    refuse_unfit,
    refuse_unfit_random,
    restore,
)

PROGRESS = Progress(step=30, epoch=2, pool=1, batch=4, seconds=1.5, best_score=-0.25, budget={"steps": 90.0})
KINDS = {
    "muon": TrainingConfig(),
    "adamw": TrainingConfig(optimiser="adamw"),
    "average": TrainingConfig(ema_decay=0.5),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def optimiser_of(kind: str, steps: int) -> Optimiser:
    """Return the optimiser of a small model, after some steps."""
    torch.manual_seed(0)
    model = Transformer(SMALL, 13, 13)
    optimiser = Optimiser(model, KINDS[kind])
    for _ in range(steps):
        batch_loss(model, collate([[3, 4, 5], [6, 7]], [[8, 9], [10, 11, 12]]), 0.1).smoothed.backward()
        optimiser.step(0.5)
    return optimiser


def saved(folder: Path, state: TrainState) -> Path:
    save_bundle(small_bundle(), folder / "step-30", extra=state.files())
    return folder / "step-30"


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@each_kind
def test_a_state_comes_back_from_its_checkpoint_as_it_was(kind, tmp_path):
    state = TrainState(PROGRESS, optimiser_of(kind, 2).tensors(), {0: random_state(CPU), 11: random_state(CPU)})
    found = read_state(saved(tmp_path, state))
    assert found.progress == PROGRESS
    assert same(found.tensors, state.tensors)
    assert same(found.random, state.random)


@each_kind
@pytest.mark.parametrize("steps", [0, 2])
def test_what_an_optimiser_has_left_fits_it(kind, steps):
    optimiser = optimiser_of(kind, steps)
    tensors, random = optimiser.tensors(), {0: random_state(CPU)}
    refuse_unfit(TrainState(PROGRESS, tensors, random), optimiser, Path("step-30"))
    more = tensors | {"more": torch.zeros(1)}
    with pytest.raises(BundleError, match="holds more, which this training lacks"):
        refuse_unfit(TrainState(PROGRESS, more, random), optimiser, Path("step-30"))


@each_kind
def test_a_restored_training_continues_as_if_nothing_had_been(kind):
    whole, state = optimiser_of(kind, 4), TrainState(PROGRESS, optimiser_of(kind, 2).tensors(), {})
    batch = collate([[3, 4, 5], [6, 7]], [[8, 9], [10, 11, 12]])
    torch.manual_seed(0)
    halfway = Transformer(SMALL, 13, 13)
    optimiser = Optimiser(halfway, KINDS[kind])
    for _ in range(2):
        batch_loss(halfway, batch, 0.1).smoothed.backward()
        optimiser.step(0.5)
    continued = Optimiser(halfway, KINDS[kind])
    assert restore(state, continued, CPU) == PROGRESS
    for _ in range(2):
        batch_loss(halfway, batch, 0.1).smoothed.backward()
        continued.step(0.5)
    assert same(continued.tensors(), whole.tensors())


def test_a_checkpoint_without_one_of_its_files_has_no_state(tmp_path):
    files = TrainState(PROGRESS, {}, {}).files()
    for i, extra in enumerate([{}, {TENSORS: files[TENSORS]}, {NUMBERS: files[NUMBERS]}]):
        save_bundle(small_bundle(), tmp_path / f"step-{i}", extra=extra)
        assert read_state(tmp_path / f"step-{i}") is None


@pytest.mark.parametrize("name", [TENSORS, NUMBERS])
def test_a_file_that_was_changed_is_named(tmp_path, name):
    path = saved(tmp_path, TrainState(PROGRESS, {"a": torch.ones(3)}, {}))
    flip_bit(path / name, 77)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        read_state(path)


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ('{"step": -1}', "step: "),
        ('{"step": "3"}', "step: "),
        ('{"seconds": NaN}', "seconds: .*finite"),
        ('{"seconds": 1e999}', "seconds: .*finite"),
        ('{"budget": {"a": 1, "b": 2, "c": 3, "d": 4}}', "budget: "),
        ("{", "the file: Invalid JSON"),
        ("[]", "the file: "),
        ("[" * 1000, "the file: "),
    ],
)
def test_numbers_that_cannot_be_used_are_named(tmp_path, numbers, problem):
    path = saved(tmp_path, TrainState(PROGRESS, {}, {}))
    (path / NUMBERS).write_text(numbers)
    reseal(path)
    with pytest.raises(BundleError, match=rf"train_state\.json cannot be used: {problem}"):
        read_state(path)


def test_numbers_longer_than_any_of_ours_are_not_read(tmp_path):
    path = saved(tmp_path, TrainState(PROGRESS, {}, {}))
    (path / NUMBERS).write_text(" " * 2**16 + "{}")
    reseal(path)
    with pytest.raises(BundleError, match=r"train_state\.json has 65,538 bytes; at most 65,536 are allowed"):
        read_state(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its list of tensors has a wrong length"),
        (struct.pack("<Q", 2**40) + b"{}", "its list of tensors has a wrong length"),
        (struct.pack("<Q", 3) + b"x\x1by", "is not a safetensors file: "),
        (struct.pack("<Q", 2) + b"{}more", "is not a safetensors file: "),
    ],
)
def test_tensors_in_another_form_are_refused(tmp_path, content, message):
    path = saved(tmp_path, TrainState(PROGRESS, {}, {}))
    (path / TENSORS).write_bytes(content)
    reseal(path)
    with pytest.raises(BundleError, match=message) as caught:
        read_state(path)
    assert str(caught.value).isprintable()


def test_a_state_of_the_first_format_is_read(tmp_path):
    path = saved(tmp_path, TrainState(PROGRESS, {}, {0: random_state(CPU)}))
    numbers = json.loads((path / NUMBERS).read_text())
    numbers["window"] = numbers.pop("pool")
    del numbers["budget"]
    (path / NUMBERS).write_text(json.dumps(numbers))
    reseal(path)
    assert read_state(path).progress == PROGRESS.model_copy(update={"budget": None})


@pytest.mark.parametrize("name", ["random.01", "random.-1", "random.x", "random.", "random.1234567", "xrandom.1"])
def test_what_only_looks_like_random_numbers_is_a_tensor_that_no_optimiser_knows(tmp_path, name):
    path = saved(tmp_path, TrainState(PROGRESS, {name: random_state(CPU)}, {}))
    state = read_state(path)
    assert state.random == {}
    message = rf"train_state\.safetensors holds {re.escape(name)}, which this training lacks\. Restore"
    with pytest.raises(BundleError, match=message):
        refuse_unfit(state, optimiser_of("muon", 0), path)


def test_what_another_optimiser_remembers_is_refused():
    for ours, theirs in (("muon", "adamw"), ("adamw", "muon"), ("muon", "average")):
        state = TrainState(PROGRESS, optimiser_of(theirs, 1).tensors(), {})
        with pytest.raises(BundleError, match=r"holds [\w.]+, which this training lacks|, expected \("):
            refuse_unfit(state, optimiser_of(ours, 0), Path("step-30"))


def test_a_state_without_all_of_the_average_that_is_wanted_is_refused():
    optimiser = optimiser_of("average", 1)
    whole = optimiser.tensors()
    plain = optimiser_of("muon", 1).tensors()
    fewer = [{n: x for n, x in whole.items() if n != name} for name in whole if name.startswith("average.")]
    assert len(fewer) > 3
    for tensors in (plain, {}, *fewer):
        with pytest.raises(BundleError, match=r"train_state\.safetensors lacks average\.\w+"):
            refuse_unfit(TrainState(PROGRESS, tensors, {}), optimiser, Path("step-30"))


@each_kind
def test_each_tensor_must_have_its_shape_and_its_type_and_be_finite(kind):
    optimiser = optimiser_of(kind, 1)
    whole = optimiser.tensors()
    for name, tensor in whole.items():
        changes = [torch.cat([tensor.flatten(), tensor.flatten()]), tensor.double() + 0.0]
        spoilt = tensor.clone()
        if tensor.is_floating_point():
            spoilt.view(-1)[0] = float("nan")
            changes.append(spoilt)
        for change in changes:
            with pytest.raises(BundleError, match=rf"train_state\.safetensors: {re.escape(name)} is "):
                refuse_unfit(TrainState(PROGRESS, whole | {name: change}, {}), optimiser, Path("step-30"))


@each_kind
def test_of_a_parameter_all_or_nothing_is_remembered(kind):
    optimiser = optimiser_of(kind, 1)
    whole = optimiser.tensors()
    parts = {name.rpartition(".")[0] for name in whole}
    for name in whole:
        part = name.rpartition(".")[0]
        fewer = {other: tensor for other, tensor in whole.items() if other != name}
        if any(other.rpartition(".")[0] == part for other in fewer):
            with pytest.raises(BundleError, match=rf"train_state\.safetensors lacks {re.escape(name)}\. Restore"):
                refuse_unfit(TrainState(PROGRESS, fewer, {}), optimiser, Path("step-30"))
    without = {name: tensor for name, tensor in whole.items() if name.rpartition(".")[0] != max(parts)}
    if not max(parts).startswith("average"):
        refuse_unfit(TrainState(PROGRESS, without, {}), optimiser, Path("step-30"))


@pytest.mark.parametrize(
    "random",
    [
        *(torch.zeros(3), torch.zeros(3, dtype=torch.uint8), torch.zeros(5056, dtype=torch.uint8)),
        *(
            torch.zeros(0, dtype=torch.uint8),
            torch.zeros(2, 5056, dtype=torch.uint8),
            torch.tensor(3, dtype=torch.uint8),
        ),
        torch.full((5056,), 255, dtype=torch.uint8),
    ],
    ids=lambda x: f"{tuple(x.shape)}, {x.dtype}",
)
def test_what_is_no_state_of_random_numbers_is_refused(random):
    before = torch.get_rng_state()
    with pytest.raises(BundleError, match=r"train_state\.safetensors holds an invalid random state: .*\. Restore"):
        refuse_unfit_random(random, Path("step-30"))
    with pytest.raises(BundleError, match="holds an invalid random state"):
        refuse_unfit(TrainState(PROGRESS, {}, {3: random}), optimiser_of_seeded(), Path("step-30"))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_state_of_a_gpu_behind_that_of_the_cpu_may_be_longer():
    of_cpu = random_state(CPU)
    for n_bytes in (0, 16):
        refuse_unfit_random(torch.cat([of_cpu, torch.zeros(n_bytes, dtype=torch.uint8)]), Path("step-30"))
    with pytest.raises(BundleError, match=f"it has {len(of_cpu) + 1:,} bytes"):
        refuse_unfit_random(torch.cat([of_cpu, torch.zeros(1, dtype=torch.uint8)]), Path("step-30"))


def test_the_random_numbers_of_each_process_go_on(tmp_path):
    random = {}
    for rank, seed in ((0, 5), (1, 6)):
        torch.manual_seed(seed)
        random[rank] = random_state(CPU)
    state = read_state(saved(tmp_path, TrainState(PROGRESS, {}, random)))
    for rank, seed in ((0, 5), (1, 6), (2, 7)):
        torch.manual_seed(seed)
        expected = torch.rand(3)
        torch.manual_seed(7)  # what the third one, of which the checkpoint knows nothing, goes on with
        restore(state, optimiser_of_seeded(), CPU, rank)
        assert torch.equal(torch.rand(3), expected)


def optimiser_of_seeded() -> Optimiser:
    """Return an optimiser without drawing random numbers."""
    with torch.random.fork_rng(devices=[]):
        return optimiser_of("muon", 0)


def test_what_is_restored_can_be_changed_without_changing_the_state():
    state = TrainState(PROGRESS, {}, {})
    progress = restore(state, optimiser_of("muon", 0), CPU)
    progress.step += 1
    progress.budget["steps"] = 1.0
    assert (state.progress.step, state.progress.budget) == (30, {"steps": 90.0})


def test_what_was_read_does_not_hang_on_the_file(tmp_path):
    path = saved(tmp_path, TrainState(PROGRESS, {"a": torch.ones(3)}, {}))
    state = read_state(path)
    shutil.rmtree(path)
    assert state.tensors["a"].tolist() == [1.0, 1.0, 1.0]


def test_the_files_are_plain_json_and_safetensors():
    files = TrainState(PROGRESS, {"a": torch.ones(2)}, {4: random_state(CPU)}).files()
    assert load(files[TENSORS]).keys() == {"a", "random.4"}
    assert Progress.model_validate(json.loads(files[NUMBERS])) == PROGRESS
    assert files[TENSORS] == save({"a": torch.ones(2), "random.4": random_state(CPU)})
