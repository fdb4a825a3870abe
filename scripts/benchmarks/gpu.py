"""`scripts/bench --gpu`: what the first GPU at hand is to be asked, in less than eight minutes.

Each group has a share of the time, and what one leaves goes to the next; what there was no time for
is printed. All products are of full precision, so that results can be compared; and JAX takes no
memory in advance, so that the contestants' processes find room on one device.
"""

import importlib.util
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence

# the groups that say something of a GPU, by their importance, and their shares
SHARES = {"crossover": 6, "depth": 2, "fit": 4, "many": 2}
SECONDS = 420  # of all groups, without imports, pictures and the end of what has begun
QUICK = 30
_CUDA_13 = 580  # the first driver for it; older ones, from 525 on, are for CUDA 12

REFUSAL = (
    "bench: --gpu needs a GPU and JAX finds none here: take a machine that has one, install "
    "jnn[cuda13] or jnn[cuda12] there, or add --quick to try the command on this device"
)


def needed() -> list[str]:
    """The dependency group that lets JAX use this machine's GPU, as its driver asks; or none.

    What is installed is left as it is: that may be JAX for another device.
    """
    if any(importlib.util.find_spec(f"jax_cuda{n}_plugin") for n in (12, 13)):
        return []
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    major = done.stdout.strip().partition(".")[0]
    if not major.isdecimal():
        return []
    return ["cuda13" if int(major) >= _CUDA_13 else "cuda12"]


def refused(quick: bool) -> bool:
    """Whether there is no GPU, and then the sentence that says so.

    JAX, and the processes that the groups start, are set up for the measurements.
    """
    # both are read when they are first needed, which is below
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    import jax

    if jax.default_backend() == "cpu" and not quick:
        print(REFUSAL, file=sys.stderr)
        return True
    jax.config.update("jax_default_matmul_precision", "highest")
    return False


def each(groups: Sequence[str], quick: bool, run: Callable[[str, float], None]) -> bool:
    """Run the groups, by importance, each with its seconds; whether all of them came to their end.

    One that fails costs no other its time.
    """
    end = time.monotonic() + (QUICK if quick else SECONDS)
    to_come = [name for name in SHARES if name in groups]
    whole = True
    while to_come:
        left = max(0.0, end - time.monotonic())
        seconds = left * SHARES[to_come[0]] / sum(SHARES[name] for name in to_come)
        name = to_come.pop(0)
        try:
            run(name, seconds)
        except Exception:  # noqa: BLE001  of one group; the machine is there for the others
            traceback.print_exc()
            print(f"bench: {name} failed, the lines above say why", file=sys.stderr)
            whole = False
    return whole
