import pytest
import torch

from regard.errors import ConfigError
from regard.runtime import prepare_runtime


def test_the_cpu_can_be_asked_for():
    runtime = prepare_runtime("cpu")
    assert runtime.device == torch.device("cpu")
    assert str(runtime) == f"cpu, {torch.get_num_threads()} threads, float32"


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="must be auto, cpu or cuda"):
        prepare_runtime("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_an_absent_gpu_is_refused():
    with pytest.raises(ConfigError, match="sees no GPU"):
        prepare_runtime("cuda")
