"""`fit` on a mesh of several devices, and of several processes over loopback: as on one device.

Devices and processes are counted once in a process, so that the runs are in ones of their own, of
this file.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jnn
from jnn.training import host

ROOT = Path(__file__).parents[2]
N = 48
X = np.linspace(0.1, 3, N)[:, None]
Y = np.log(X)
WEIGHTS = 1.0 + np.arange(N) % 3
HELD = (X[::5] + 0.01, np.log(X[::5] + 0.01))


def start():
    return jnn.init_network_params([1, 6, 6, 1], jax.random.key(0), dtype=jnp.float64)


# ---- what every run is told; `batches` are a stream's ----


def own_batches(rank, of):
    """Of each batch of eight rows those of one process, one after the other."""
    width = 8 // of

    def batches(epoch):
        for first in range(0, N, 8):
            mine = slice(first + rank * width, first + (rank + 1) * width)
            yield X[mine], Y[mine], WEIGHTS[mine]

    return jnn.Stream(batches, mean_weight=WEIGHTS.mean())


# by how data are passed: of the mesh (None without) and this process's place
WAYS = {
    "arrays": lambda mesh, rank, of: (X, Y, WEIGHTS),
    "spread": lambda mesh, rank, of: (X, Y, WEIGHTS) if mesh is None else spread(mesh, rank, of),
    "stream": lambda mesh, rank, of: own_batches(rank, of),
}
OPTIONS = {
    "plain": {},
    "all rows": {"batch_size": N, "optimizer": "lbfgs", "epochs": 4},
    "odd batches": {"batch_size": 7, "shuffle": False},
    "rules": {
        "validation": HELD,
        "patience": 3,
        "metrics": ["r2"],
        "watch": "state_std",
        "plateau": jnn.Plateau(patience=1),
        "clip_norm": 0.5,
    },
    "dropout": {"dropout_rate": 0.3, "penalty": jnn.penalties.l2(0.01)},
}
ON_STREAMS = ("plain", "rules", "dropout")


def spread(mesh, rank, of):
    """A global array of this process's rows alone."""
    place = NamedSharding(mesh, PartitionSpec("rows"))
    mine = slice(rank * N // of, (rank + 1) * N // of)
    return tuple(jax.make_array_from_process_local_data(place, a[mine]) for a in (X, Y, WEIGHTS))


def run(way, name, mesh=None, rank=0, of=1, **more):
    options = {"epochs": 6, "progress": False, **OPTIONS[name], **more}
    return jnn.fit(start(), WAYS[way](mesh, rank, of), mesh=mesh, **options)


def numbers(fit):
    """What must agree, as plain arrays."""
    leaves = jax.tree.leaves((fit.params, fit.last_params, fit.best_params))
    return [*map(np.asarray, leaves), *fit.history.values(), fit.best_epoch]


FEW = [("arrays", "rules"), ("arrays", "dropout"), ("spread", "plain"), ("stream", "plain")]
EVERY = [(way, name) for way in WAYS for name in OPTIONS if way != "stream" or name in ON_STREAMS]


def check_all(cases, mesh, rank=0, of=1):
    """Cases on the mesh as on one device; those that fail are named."""
    for way, name in cases:
        try:
            found, expected = run(way, name, mesh, rank, of), run(way, name)
            assert (found.epochs, found.stopped) == (expected.epochs, expected.stopped)
            for a, b in zip(numbers(found), numbers(expected), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
        except Exception as error:  # noqa: BLE001
            print(rank, way, name, type(error).__name__, str(error)[:500], flush=True)


# ---- as a program ----


def eight_devices(which):
    """Automatic and explicit axes, one or two."""
    cases = EVERY if which == "every" else FEW
    check_all(cases, jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Auto,)))
    cases = EVERY if which == "every" else FEW[:1]
    check_all(cases, jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Explicit,)))
    check_all(cases, jax.make_mesh((4, 2), ("rows", "more"), axis_types=(AxisType.Auto,) * 2))
    print("done")


def eight_devices_go_on(folder):
    """From a checkpoint of other processes."""
    mesh = jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Auto,))
    found, expected = run("arrays", "rules", mesh, checkpoint=folder), run("arrays", "rules")
    assert found.resumed == 3
    for a, b in zip(numbers(found), numbers(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    print("done")


def two_processes(rank, port, job, *arguments):
    """This process's part of a job."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(rank), heartbeat_timeout_seconds=10)
    mesh = jax.make_mesh((jax.device_count(),), ("rows",), axis_types=(AxisType.Auto,))
    JOBS[job](mesh, int(rank), *arguments)
    print("done")


def told(fit):
    print(json.dumps([fit.epochs, fit.stopped]), flush=True)


def time_limit(mesh, rank):
    """The second process alone has one."""
    stop = jnn.Stop(seconds=1 if rank else 1000)
    told(run("arrays", "plain", mesh, rank, 2, epochs=10**6, stop=stop))


def press():
    os.kill(os.getpid(), signal.SIGINT)


def interrupt(mesh, rank):
    """Ctrl-C in the second process alone, after its first chunk."""
    look = host.Run.look

    def looks(run, *arguments):
        host.Run.look = look
        look(run, *arguments)
        if rank:
            press()

    host.Run.look = looks
    told(run("arrays", "plain", mesh, rank, 2, epochs=10**6))


def interrupt_stream(mesh, rank):
    """The same, within a stream whose epoch never ends."""

    def batches(epoch):
        for i in itertools.count():
            if rank and i == 2000:
                press()
            yield X[:8], Y[:8]

    told(jnn.fit(start(), batches, mesh=mesh, epochs=3, progress=False))


def progress(mesh, rank):
    """A function that is called at the first process, and ends both."""
    calls = []

    def asks(fit):
        calls.append(fit.epochs)
        return fit.epochs >= 5

    fit = run("arrays", "plain", mesh, rank, 2, epochs=10**6, progress=asks)
    assert bool(calls) == (rank == 0)
    told(fit)


def checkpoint(mesh, rank, folder):
    """Half of a run; and its second half by two processes again."""
    told(run("arrays", "rules", mesh, rank, 2, epochs=3, checkpoint=folder))


def uneven(mesh, rank):
    """Streams that give different numbers of batches."""

    def batches(epoch):
        return [(X[:4], Y[:4])] * (3 + rank)

    jnn.fit(start(), batches, mesh=mesh, epochs=2, progress=False)


def killed(mesh, rank, folder):
    """The second process dies in the middle of an epoch; both are started again after it."""

    def look(fit):
        if fit.epochs >= 4 and not os.environ.get("AGAIN"):
            os.kill(int(Path(folder, "pid").read_text()), signal.SIGKILL)

    if rank and not os.environ.get("AGAIN"):
        Path(folder, "pid").write_text(str(os.getpid()))
    where = jnn.Checkpoint(Path(folder, "run"), every_epochs=1)
    fit = run("arrays", "rules", mesh, rank, 2, epochs=12, checkpoint=where, progress=look)
    print(json.dumps([float(number) for number in fit.history["loss"]]))


JOBS = {
    "killed": killed,
    "few": lambda mesh, rank: check_all(FEW, mesh, rank, 2),
    "every": lambda mesh, rank: check_all(EVERY, mesh, rank, 2),
    "time limit": time_limit,
    "interrupt": interrupt,
    "interrupt, stream": interrupt_stream,
    "progress": progress,
    "checkpoint": checkpoint,
    "uneven": uneven,
}


# ---- the tests ----


@pytest.fixture
def environment():
    """Of processes with eight devices each, or as many as are asked for."""

    def of(devices):
        flags = f" --xla_force_host_platform_device_count={devices}"
        flags = os.environ.get("XLA_FLAGS", "") + flags
        return {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}

    return of


def together(environment, job, *arguments, **more):
    """Standard output and error of both processes of a job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(port), job, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(1) | more,
        )
        for rank in (0, 1)
    ]
    try:
        return [process.communicate(timeout=300) for process in running]
    finally:
        for process in running:
            process.kill()


WHICH = ["few", pytest.param("every", marks=pytest.mark.exhaustive)]


@pytest.mark.slow
@pytest.mark.parametrize("which", WHICH)
def test_eight_devices_compute_what_one_does(environment, which):
    command = [sys.executable, __file__, "eight", which]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900, env=environment(8)
    )
    assert done.stdout == "done\n", done.stdout + done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("which", WHICH)
def test_two_processes_compute_what_one_does(environment, which):
    both = together(environment, which)
    for out, error in both:
        assert [line for line in out.splitlines() if "Gloo" not in line] == ["done"], out + error
    said = "a single process is faster"  # these networks are small
    assert [said in error for _, error in both] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "stopped"),
    [
        ("time limit", "seconds"),
        ("interrupt", "interrupted"),
        ("interrupt, stream", "interrupted"),
        ("progress", "progress"),
    ],
)
def test_what_ends_one_process_ends_both_in_the_same_epoch(environment, job, stopped):
    (first, error), (second, _) = together(environment, job)
    said = [
        [json.loads(line) for line in out.splitlines() if line.endswith('"]')]
        for out in (first, second)
    ]
    assert said[0] == said[1], error
    ((_, reason),) = said[0]
    assert reason == stopped


@pytest.mark.slow
def test_one_process_goes_on_from_the_checkpoint_of_two(environment, tmp_path, x64):
    together(environment, "checkpoint", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000000000003.safetensors"]
    found, expected = run("arrays", "rules", checkpoint=tmp_path), run("arrays", "rules")
    assert found.resumed == 3
    for a, b in zip(numbers(found), numbers(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.slow
def test_eight_devices_go_on_from_the_checkpoint_of_two_processes(environment, tmp_path):
    together(environment, "checkpoint", str(tmp_path))
    command = [sys.executable, __file__, "resume", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment(8)
    )
    assert done.stdout == "done\n", done.stdout + done.stderr[-2000:]


@pytest.mark.slow
def test_a_process_that_dies_is_named_and_both_go_on_after_it(environment, tmp_path):
    (_, error), (_, _) = together(environment, "killed", str(tmp_path))
    assert "process 1 is gone: process 0 got no answer" in error, error
    again = together(environment, "killed", str(tmp_path), AGAIN="1")
    (tmp_path / "whole").mkdir()
    whole = together(environment, "killed", str(tmp_path / "whole"), AGAIN="1")
    losses = [
        [line for line in out.splitlines() if line.startswith("[0")] for out, _ in [*again, *whole]
    ]
    assert losses[0] == losses[1] == losses[2] == losses[3] != []


@pytest.mark.slow
def test_streams_of_different_lengths_are_refused_everywhere(environment):
    for _, error in together(environment, "uneven"):
        assert "process 0: 3 of 4, process 1: 4 of 4 rows: give as many" in error


def test_bad_input_is_named_before_anything_is_computed(nothing_runs):
    with pytest.raises(TypeError, match=r"mesh is 8; it must be a jax\.sharding\.Mesh"):
        jnn.fit(jnn.from_layers([(1.0, 0.0)]), (X, Y), mesh=8)


def test_rows_of_weight_zero_are_refused_where_they_lie_spread(nothing_runs):
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(AxisType.Auto,))
    place = NamedSharding(mesh, PartitionSpec("rows"))
    rows = [jax.device_put(a, place) for a in (X, Y, np.arange(N))]
    with pytest.raises(ValueError, match="weights of data hold zeros, but rows that lie spread"):
        jnn.fit(jnn.from_layers([(1.0, 0.0)]), tuple(rows), mesh=mesh)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    if sys.argv[1] == "eight":
        eight_devices(sys.argv[2])
    elif sys.argv[1] == "resume":
        eight_devices_go_on(sys.argv[2])
    else:
        two_processes(*sys.argv[1:])
