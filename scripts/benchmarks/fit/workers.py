"""The contestants' processes, seen from the benchmark: started, asked for seconds, stopped."""

import time
from pathlib import Path

from benchmarks.fit.contestants import Peer
from benchmarks.process import Process

LIMIT = 120  # seconds until a contestant's first run must have ended


class Worker:
    """A contestant's process. `cold` are the seconds from its start to its trained network."""

    def __init__(self, name: str, peer: Peer, case: Path) -> None:
        start = time.perf_counter()
        environment = dict(peer.environment)
        self.process = Process("benchmarks.fit.process", str(case), name, environment=environment)
        self.marks = self.process.answer(LIMIT)
        self.cold = time.perf_counter() - start
        self.loss = self.process.answer(LIMIT)["loss"]

    def seconds(self) -> float:
        """Of one more run, by the process's own clock."""
        return self.process.ask("run")["seconds"]

    def stop(self) -> None:
        """End it."""
        self.process.stop()


Workers = dict[str, Worker]


def started(peers: dict[str, Peer], path: Path) -> Workers:
    """The contestants' processes after their first runs.

    Of one that fails or takes too long a line is printed.
    """
    workers = {}
    for name, peer in peers.items():
        try:
            workers[name] = Worker(name, peer, path)
        except (TimeoutError, RuntimeError) as error:
            print(f"{name:<36} {error}", flush=True)
    return workers


def stop_all(workers: Workers) -> None:
    for worker in workers.values():
        worker.stop()
