"""The engines whose decoding is compared with regard's, each in its own process and environment, with regard's weights.

    peer = PEERS["ctranslate2"]()
    peer.convert(Path("run/best"), Path("folder"))
    result = peer.run(Job(model="folder", ids=[[40, 50, 60]], longest=[16], beam=5))

A peer loads its model, warms up, decodes the same ids `rounds` times and reports the seconds
of every round, its peak memory and the ids, so that they can be compared with regard's.
"""

import json
import os
import subprocess
import sys
import tempfile
from abc import ABC
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from decoding_export import export
from decoding_jobs import Job, Result
from environments import environment

HERE = Path(__file__).parent
PYTHON = sys.executable if sys.version_info[:2] == (3, 11) else "python3.11"


class Peer(ABC):
    """Another engine. packages: what its environment holds, with versions; script: what runs in it."""

    name: ClassVar[str]
    version: ClassVar[str]
    packages: ClassVar[Sequence[str]]
    script: ClassVar[str]
    with_torch: ClassVar[bool] = False
    kinds: ClassVar[Sequence[str]]
    """What it decodes: the "pairs" of a Transformer, the "text" of a GPT of GPT-2's shape, or both."""
    precisions: ClassVar[Sequence[str]]
    has_workers: ClassVar[bool] = False
    """Whether it decodes several batches at the same time."""
    build: ClassVar[Mapping[str, str]] = {}
    """What is set in the environment while packages are installed."""

    def __init__(self, python: str = PYTHON) -> None:
        """Create its environment the first time. python: the command of a Python 3.11."""
        name = f"{self.name}-{self.version}"
        self.python = environment(python, name, self.packages, with_torch=self.with_torch, variables=self.build)

    def convert(self, bundle: Path, place: Path) -> None:
        """Write the model of a bundle in this engine's format. Raises ValueError if it cannot have these settings."""
        export(bundle, place)
        self._call(["convert", str(place)], 1)

    def run(self, job: Job) -> Result:
        """Return what was decoded and measured, in a fresh process."""
        assert job.precision in self.precisions, f"{self.name} computes in {', '.join(self.precisions)}"
        assert job.workers == 1 or self.has_workers, f"{self.name} decodes one batch at a time"
        return Result(**self._answered("run", job))

    def variables(self, n_threads: int, n_workers: int) -> dict[str, str]:
        """Return the environment of its process. n_workers: how often n_threads compute at the same time."""
        assert n_workers > 0, "someone decodes"
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads))
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**inherited, **counts, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def _answered(self, word: str, job: Job) -> Any:
        """Return what its script answers to a job."""
        with tempfile.TemporaryDirectory() as folder:
            asked, answer = Path(folder) / "job.json", Path(folder) / "result.json"
            asked.write_text(job.written(), encoding="utf-8")
            self._call([word, str(asked), str(answer)], job.threads, job.workers)
            return json.loads(answer.read_text(encoding="utf-8"))

    def _call(self, words: Sequence[str], n_threads: int, n_workers: int = 1) -> None:
        command = [str(self.python), str(HERE / self.script), *words]
        variables = self.variables(n_threads, n_workers)
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
            raise RuntimeError(f"{' '.join(command)}\nended with {done.returncode}:\n{tail}")


class CTranslate2(Peer):
    """CTranslate2: its own kernels for the encoder-decoder and for GPT-2. It has one maximum length for a whole call.

    `workers` batches are decoded at the same time, each with `threads` threads, if `batch_tokens` leaves as many.
    """

    name, version = "CTranslate2", "4.8.5"
    packages = (f"ctranslate2=={version}",)
    script = "decoding_ctranslate2.py"
    kinds = ("pairs", "text")
    precisions = ("float32", "int8", "int16")
    has_workers = True


class HuggingFace(Peer):
    """Hugging Face transformers: M2M100 (pre-norm) or Marian (post-norm) for pairs, and GPT-2 for text.

    Marian itself has only post-norm; M2M100 is the same code with norms before the sub-layers, so that it has regard's
    weights exactly. Both have biases, ReLU and sinusoids, whose table is replaced by regard's.
    """

    name, version = "transformers", "5.24.0"
    packages = (f"transformers=={version}",)
    script = "decoding_transformers.py"
    with_torch = True
    kinds = ("pairs", "text")
    precisions = ("float32", "bfloat16")


class LlamaCpp(Peer):
    """llama.cpp, compiled for this machine, by llama-cpp-python: GPT-2 only. Prompts are decoded side by side.

    Its keys and values are stored as float16 (float32 when the precision is that). Its GELU reads a table of float16:
    even in float32 a text may part from regard's at a near tie.
    """

    name, version = "llama.cpp", "0.3.36"
    packages = (f"llama-cpp-python=={version}", "gguf==0.19.0")
    script = "decoding_llamacpp.py"
    kinds = ("text",)
    precisions = ("float32", "float16", "bfloat16", "q8_0")
    build: ClassVar[Mapping[str, str]] = {
        "CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF",
        # GCC 12 removes the stores into AMX's tile configuration as dead ones, and q8_0 then ends with SIGILL.
        "CXXFLAGS": "-fno-tree-dse -fno-dse",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(max(1, (os.cpu_count() or 2) // 2)),
    }


class JoeyNMT(Peer):
    """JoeyNMT, a trainer for teaching: its Transformer with regard's weights. It has no cache of keys and values.

    Its environment is that of the trainer in rivals.py.
    """

    name, version = "JoeyNMT", "2.3.0"
    packages = (f"joeynmt=={version}", "sentencepiece==0.1.99", "importlib_metadata")
    script = "decoding_joeynmt.py"
    with_torch = True
    kinds = ("pairs",)
    precisions = ("float32",)


PEERS: dict[str, type[Peer]] = {
    "ctranslate2": CTranslate2,
    "transformers": HuggingFace,
    "llama.cpp": LlamaCpp,
    "joeynmt": JoeyNMT,
}
