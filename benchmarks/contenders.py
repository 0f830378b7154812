"""What benchmarks beside PyTorch share: each contender in a process of its own, on an idle machine, on two cores.

Imported by scripts that run in PyTorch's environment, too, so it knows the standard library alone.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


def measured(script, contender, *flags, pytorch, onednn=True):
    """What `script --contender CONTENDER` prints, run by PyTorch's Python if `pytorch`; ends where it fails.

    onednn: whether TensorFlow uses it; kerascnn sees to that, wherever it is imported before TensorFlow.
    """
    tensorflow = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **tensorflow}
    command = [TORCH_PYTHON if pytorch else sys.executable, script, "--contender", contender, *map(str, flags)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{contender} failed with {' '.join(map(str, flags))}:\n{done.stderr}")
    return done.stdout


def two_idle_cores():
    """Wait at most five minutes for an idle machine and keep to two cores; the load that was left.

    Ends with exit code 3 where there is no PyTorch.
    """
    if not TORCH_PYTHON.exists():
        print(f"error: no PyTorch at {TORCH_PYTHON.parent.parent}; run `make bench`", file=sys.stderr)
        sys.exit(3)
    # PyTorch's two threads wait for each other at every layer; beside other work they are many times slower.
    patience = time.monotonic() + 300
    while os.getloadavg()[0] > 0.5 and time.monotonic() < patience:
        time.sleep(5)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is busy (load average {load:.1f}); the figures will not mean much", file=sys.stderr)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    return round(load, 2)
