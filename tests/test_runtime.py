import os

import pytest
import torch

from regard import runtime as module
from regard.errors import ConfigError
from regard.runtime import choose_precision, layers_a_second, prepare_runtime


def test_the_cpu_can_be_asked_for():
    runtime = prepare_runtime("cpu")
    assert runtime.device == torch.device("cpu")
    assert str(runtime) == f"cpu, {torch.get_num_threads()} threads"


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="must be auto, cpu or cuda"):
        prepare_runtime("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_an_absent_gpu_is_refused():
    with pytest.raises(ConfigError, match="sees no GPU"):
        prepare_runtime("cuda")


@pytest.mark.parametrize(("speed", "precision"), [(0.3, "float32"), (0.9, "float32"), (1.1, "bfloat16")])
def test_bfloat16_is_chosen_on_a_cpu_where_it_was_measured_to_be_worth_it(monkeypatch, speed, precision):
    speeds = {torch.bfloat16: 1000 * speed, torch.float32: 1000}
    monkeypatch.setattr(module, "layers_a_second", lambda width, dtype: width * speeds[dtype])
    monkeypatch.setattr(module, "has_bfloat16", lambda device: True)
    chosen, reason = choose_precision(torch.device("cpu"), 8)
    assert chosen == precision
    assert reason.startswith(precision) and f"measured to be {speed} times as fast" in reason


def test_a_cpu_without_bfloat16_is_not_measured(monkeypatch):
    monkeypatch.setattr(module, "has_bfloat16", lambda device: False)
    assert choose_precision(torch.device("cpu"), 8) == ("float32", "float32, since this cpu has no bfloat16")


@pytest.mark.parametrize(("has_it", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_bfloat16_is_chosen_on_a_gpu_that_has_it(monkeypatch, has_it, precision):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_it and not including_emulation
    )
    assert choose_precision(torch.device("cuda"), 8)[0] == precision


def test_the_measurement_counts_layers(monkeypatch):
    ticks = iter(i * 0.01 for i in range(100))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    assert layers_a_second(8, torch.float32) == pytest.approx(2 / 0.03)


def test_onednn_keeps_few_shapes_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    prepare_runtime("cpu")
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "144"


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match=r"4 processes .* sees 2 GPU\(s\).* --nproc-per-node 2, or --device cpu"):
        prepare_runtime()
