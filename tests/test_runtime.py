import pytest
import torch

from regard import runtime as module
from regard.errors import ConfigError
from regard.runtime import choose_precision, prepare_runtime, products_a_second


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


@pytest.mark.parametrize(("speed", "precision"), [(0.3, "float32"), (1.4, "float32"), (1.5, "bfloat16")])
def test_bfloat16_is_chosen_on_a_cpu_where_it_was_measured_to_be_worth_it(monkeypatch, speed, precision):
    speeds = {torch.bfloat16: 1000 * speed, torch.float32: 1000}
    monkeypatch.setattr(module, "products_a_second", speeds.__getitem__)
    monkeypatch.setattr(module, "has_bfloat16", lambda device: True)
    chosen, reason = choose_precision(torch.device("cpu"))
    assert chosen == precision
    assert reason.startswith(precision) and f"measured to be {speed} times as fast" in reason


def test_a_cpu_without_bfloat16_is_not_measured(monkeypatch):
    monkeypatch.setattr(module, "has_bfloat16", lambda device: False)
    assert choose_precision(torch.device("cpu")) == ("float32", "float32, since this cpu has no bfloat16")


@pytest.mark.parametrize(("has_it", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_bfloat16_is_chosen_on_a_gpu_that_has_it(monkeypatch, has_it, precision):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_it and not including_emulation
    )
    assert choose_precision(torch.device("cuda"))[0] == precision


def test_the_measurement_counts_products(monkeypatch):
    ticks = iter(i * 0.01 for i in range(100))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    assert products_a_second(torch.float32) == pytest.approx(2 / 0.03)
