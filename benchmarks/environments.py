"""The environments of the programs that regard is measured beside: one each, made once."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from measuring import say

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regard-benchmarks"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def environment(
    python: str, name: str, packages: Sequence[str], *, with_torch: bool, variables: Mapping[str, str] | None = None
) -> Path:
    """Return the interpreter of an environment, which is created the first time.

    python: the command of a Python 3.11. name: of the environment, with a version. packages: what it holds, with
    versions. variables: what is set while they are built.
    """
    pinned = [f"torch=={importlib.metadata.version('torch').split('+')[0]}"] if with_torch else []
    place = CACHE / "-".join([name.lower(), *(pin.replace("==", "-") for pin in pinned)])
    own = place / "bin" / "python"
    if (place / "complete").exists():
        return own
    say(f"Creating the environment of {name} in {place} (once{'; 1.5 GB or more' * with_torch}).")
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(place)], check=True)
    pip = [str(own), "-m", "pip", "install", "--quiet"]
    if with_torch:
        wheels = ["--extra-index-url", CPU_WHEELS] if sys.platform == "linux" else []
        subprocess.run([*pip, *wheels, *pinned], check=True)
    subprocess.run([*pip, *packages, *pinned], check=True, env={**os.environ, **(variables or {})})
    (place / "complete").touch()
    return own
