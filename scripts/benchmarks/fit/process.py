"""The process of one contestant of the group `fit`.

    python -m benchmarks.fit.process case.npz NAME

tells on standard output what the imports, the preparation and the first run took, and then runs
once more for each line that it reads. Only NumPy is imported before the clock of the imports
starts.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fit.case import Training
from benchmarks.fit.contestants import PEERS


def main() -> None:
    """Prepare and run one contestant, then once more for each line of standard input."""
    # what the libraries print must not stand between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    training = Training.load(Path(sys.argv[1]))
    peer = PEERS[sys.argv[2]]
    os.environ.update(peer.environment)
    marks = [time.perf_counter()]
    for module in peer.modules:
        importlib.import_module(module)
    marks.append(time.perf_counter())
    run, read = peer.prepare(training)
    marks.append(time.perf_counter())
    trained = run()
    marks.append(time.perf_counter())
    imports, build, first = np.diff(marks)
    answer(imports=imports, build=build, first=first)
    answer(loss=training.full_loss(read(trained)))
    with contextlib.suppress(KeyboardInterrupt):  # the parent's: it ends this process by itself
        for _ in sys.stdin:
            start = time.perf_counter()
            run()
            answer(seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main()
