import ctypes
import os
import platform

import pytest
import torch

from regard import runtime as module
from regard.errors import ConfigError
from regard.runtime import (
    NARROWEST,
    bfloat16_instructions,
    choose_device,
    choose_precision,
    described,
    has_bfloat16,
    memory_bytes,
    prepare_process,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("LOCAL_WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_the_cpu_can_be_asked_for(gpus):
    assert choose_device("cpu") == CPU


def test_devices_are_described_in_words():
    assert described(CPU) == f"cpu, {torch.get_num_threads()} threads"
    assert described(GPU) == "cuda"


@pytest.mark.parametrize("name", ["tpu", "", "cuda:1", "CPU"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ConfigError, match=f"^device is '{name}'; it must be auto, cpu or cuda\\.$"):
        choose_device(name)


def test_an_absent_gpu_is_refused_with_the_way_out(no_gpu):
    with pytest.raises(ConfigError, match="sees no GPU here") as caught:
        choose_device("cuda")
    assert caught.value.ways == ("device",) and "device='cpu'" in str(caught.value)


def test_by_itself_a_gpu_is_taken_where_there_is_one(gpus):
    assert choose_device() == choose_device("cuda") == GPU


def test_without_a_gpu_the_cpu_is_taken(no_gpu):
    assert choose_device() == CPU


def test_each_process_takes_the_gpu_that_the_launcher_gave_it(gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device() == torch.device("cuda", 1)


def test_more_processes_than_gpus_are_refused(gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    message = (
        r"4 processes .* sees 2 GPU\(s\); each needs one\. Use torchrun --nproc-per-node 2\. device='cpu' computes"
    )
    with pytest.raises(ConfigError, match=message):
        choose_device()
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("instructions", NARROWEST)
@pytest.mark.parametrize("in_one_graph", [False, True])
def test_on_a_cpu_a_table_is_asked_by_instructions_width_and_kind_of_model(monkeypatch, instructions, in_one_graph):
    monkeypatch.setattr(module, "bfloat16_instructions", lambda: instructions)
    narrowest = NARROWEST[instructions]
    for width in (1, 63, 64, 95, 96, 127, 128, 191, 192, 4096):
        precision, reason = choose_precision(CPU, width, in_one_graph)
        faster = narrowest is not None and width >= narrowest[in_one_graph]
        assert precision == ("bfloat16" if faster else "float32")
        assert reason.startswith(precision)
        assert (instructions in reason) == (instructions != "none")
        if narrowest is not None and not faster:
            assert f"from a width of {narrowest[in_one_graph]} on" in reason


def test_models_without_a_loop_over_positions_gain_sooner():
    assert all(narrowest is None or narrowest[True] < narrowest[False] for narrowest in NARROWEST.values())


@pytest.mark.parametrize(
    ("onednn", "amx", "avx512", "found"),
    [
        *((True, True, True, "amx"), (True, False, True, "avx512_bf16"), (True, False, False, "none")),
        (False, True, True, "none"),
    ],
)
def test_instructions_are_those_that_pytorch_can_use(monkeypatch, onednn, amx, avx512, found):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert bfloat16_instructions() == found


def test_a_cpu_with_instructions_for_bfloat16_can_compute_all_layers_in_it():
    assert bfloat16_instructions() == "none" or has_bfloat16(CPU)


@pytest.mark.parametrize(("has_it", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_bfloat16_is_chosen_on_a_gpu_that_has_it(monkeypatch, has_it, precision):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_it and not including_emulation
    )
    chosen, reason = choose_precision(GPU, 8, False)
    assert chosen == precision and reason.startswith(precision) and "GPU has" in reason


@pytest.fixture
def process(monkeypatch):
    """A process whose settings are put back."""
    for name in (*module.KEPT_SHAPES, "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    precision = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(precision)


@pytest.mark.usefixtures("process", "no_gpu")
def test_onednn_keeps_few_shapes_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    prepare_process()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "144"


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(("has_gpu", "precision"), [(True, "high"), (False, "highest")])
def test_products_on_a_gpu_may_take_tf32_and_those_on_a_cpu_stay_as_they_are(monkeypatch, has_gpu, precision):
    torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    prepare_process()
    assert torch.get_float32_matmul_precision() == precision


@pytest.mark.usefixtures("process", "no_gpu")
@pytest.mark.parametrize(
    ("libc", "set_already", "told"), [("glibc", "", 3), ("glibc", "9", 0), ("", "", 0), ("musl", "", 0)]
)
def test_only_glibc_is_told_to_keep_memory_and_not_if_the_user_has_told_it(monkeypatch, libc, set_already, told):
    calls = []

    class Library:
        def __init__(self, name: None) -> None: ...

        def mallopt(self, parameter: int, value: int) -> int:
            calls.append((parameter, value))
            return 1

    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, "2.39"))
    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", set_already)
    prepare_process()
    assert len(calls) == told and all(0 < value < 2**31 for _, value in calls)


def test_choosing_changes_nothing_of_the_process():
    before = dict(os.environ), torch.get_float32_matmul_precision(), torch.get_num_threads()
    choose_device("cpu")
    choose_precision(CPU, 64, True)
    assert (dict(os.environ), torch.get_float32_matmul_precision(), torch.get_num_threads()) == before


def test_the_memory_of_the_machine_is_known_or_not(monkeypatch):
    found = memory_bytes()
    assert found is None or found > 2**28

    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert memory_bytes() is None
