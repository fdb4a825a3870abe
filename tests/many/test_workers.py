"""`fit_many` over an executor: the same bits, and what is finished is kept."""

import os
import pickle
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn.many import groups

pytestmark = pytest.mark.table

M = 21
X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
RATES = np.geomspace(1e-3, 1e-2, M)
KEYS = jax.random.split(jax.random.key(7), M)


class Here(Executor):
    """Workers as an executor's, in this process: what they take and give is pickled.

    `fails` says whether the task of that number does.
    """

    def __init__(self, fails=lambda number: False):
        self.fails = fails
        self.tasks = 0

    def submit(self, function, /, *arguments):
        future = Future()
        number, self.tasks = self.tasks, self.tasks + 1
        if self.fails(number):
            future.set_exception(MemoryError("killed"))
            return future
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))
        future.set_result(pickle.loads(pickle.dumps(function(*arguments))))
        return future


def drawn(count=M, sizes=(1, 6, 6, 1), **options):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.vmap(lambda key: jnn.init_network_params(sizes, key, **options))(keys)


def assert_same(a, b):
    """All but the seconds, to the bit, columns in the same order."""
    assert list(a.table()) == list(b.table())
    for name in ("params", "last_params", "best_params", "best_epoch", "epochs", "history",
                 "stopped", "numbers", "optimizer_state", "restores_best"):  # fmt: skip
        one, other = getattr(a, name), getattr(b, name)
        assert jax.tree.structure(one) == jax.tree.structure(other), name
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(x, y, err_msg=name)
            assert np.asarray(x).dtype == np.asarray(y).dtype, name


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch):
    monkeypatch.setattr(groups, "_GROUP", 2)  # of two, and 11 of them


CASES = {
    "rates": {"learning_rate": RATES, "epochs": 4},
    "keys": {"key": KEYS, "validation": 0.2, "patience": np.arange(1, M + 1), "epochs": 9},
    "one key": {"key": jax.random.key(3), "penalty": jnn.penalties.l2(RATES), "epochs": 3},
    "records": {
        "plateau": jnn.Plateau(patience=1),
        "stop": jnn.Stop(target=0.3),
        "metrics": ["mse", "r2"],
        "watch": "state_std",
        "epochs": 6,
    },
    "losses": {"loss": jnn.losses.quantile(0.3), "dropout_rate": 0.2, "epochs": 2},
    "clipped": {"clip_norm": RATES, "stop": jnn.Stop(target=100 * RATES), "epochs": 3},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_workers_change_no_bit(case, tmp_path):
    members, options = drawn(), {"progress": False, **CASES[case]}
    whole = jnn.fit_many(members, (X, Y), **options)
    executor = Here()
    sliced = jnn.fit_many(members, (X, Y), executor=executor, checkpoint=tmp_path, **options)
    assert executor.tasks > 5
    assert_same(sliced, whole)
    none = Here(lambda number: True)  # nothing is left to do
    again = jnn.fit_many(members, (X, Y), executor=none, checkpoint=tmp_path, **options)
    assert none.tasks == 0
    assert_same(again, whole)


@pytest.mark.parametrize("options", [{}, {"key": KEYS}, {"standardize": "xy"}], ids=repr)
def test_each_run_of_a_cross_validation_has_its_fold(options, tmp_path):
    """A slice begins with any of the folds."""
    options |= {"epochs": 3, "learning_rate": RATES, "progress": False}
    whole = jnn.cross_validate(drawn(), (X, Y), 4, **options)
    for _ in range(2):  # trained, and read
        executor = Here()
        sliced = jnn.cross_validate(
            drawn(), (X, Y), 4, executor=executor, checkpoint=tmp_path, **options
        )
        assert_same(sliced, whole)
        np.testing.assert_array_equal(sliced.numbers["fold"], whole.numbers["fold"])
    assert executor.tasks == 0


def test_in_double_precision(x64):
    members = drawn(4, dtype=jnp.float64)
    whole = jnn.fit_many(members, (X, Y), epochs=3, progress=False)
    sliced = jnn.fit_many(members, (X, Y), epochs=3, executor=Here(), progress=False)
    assert whole.params[0].w.dtype == jnp.float64
    assert_same(sliced, whole)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_few_members(count):
    """With keys of their own: a slice of one member would take its key for one of all."""
    options = {"key": KEYS[:count], "epochs": 2, "progress": False}
    whole = jnn.fit_many(drawn(count), (X, Y), **options)
    assert_same(jnn.fit_many(drawn(count), (X, Y), executor=Here(), **options), whole)


def test_a_worker_that_fails_costs_its_slice_alone(tmp_path):
    members, options = drawn(), {"epochs": 2, "learning_rate": RATES, "progress": False}
    where = {"checkpoint": tmp_path}
    for more, then in (({}, "lost: with checkpoint="), (where, "kept in .*: the same call runs")):
        failing = Here(lambda number: number in (1, 4))
        told = (
            "2 of 11 slices failed, the first of them members 2 to 3: "
            rf"MemoryError\('killed'\); the 9 finished ones are {then}"
        )
        with pytest.raises(RuntimeError, match=told):
            jnn.fit_many(members, (X, Y), executor=failing, **more, **options)
    healthy = Here()
    fits = jnn.fit_many(members, (X, Y), executor=healthy, **where, **options)
    assert healthy.tasks == 2
    assert_same(fits, jnn.fit_many(members, (X, Y), **options))
    (damaged,) = tmp_path.glob("members-00000002*/*.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="the run begins anew"):
        again = jnn.fit_many(members, (X, Y), executor=healthy, **where, **options)
    assert healthy.tasks == 3
    assert_same(again, fits)
    with pytest.raises(ValueError, match=r"checkpoints of another run: epochs was 2, is 3"):
        jnn.fit_many(members, (X, Y), executor=healthy, **where, **options | {"epochs": 3})
    with pytest.raises(ValueError, match="checkpoints of another run: learning_rate was"):
        jnn.fit_many(
            members, (X, Y), executor=healthy, **where, **options | {"learning_rate": RATES[::-1]}
        )
    assert healthy.tasks == 3


def test_networks_of_several_structures(tmp_path):
    sizes = [[1, 4, 1], [1, 3, 3, 1], [1, 4, 1], [1, 5, 1], [1, 4, 1], [1, 3, 3, 1]]
    members = [jnn.init_network_params(one, jax.random.key(i)) for i, one in enumerate(sizes)]
    options = {"key": KEYS[:6], "learning_rate": RATES[:6], "watch": "state_std", "epochs": 2}
    whole = jnn.fit_many(members, (X, Y), progress=False, **options)
    for executor in (Here(), Here(lambda number: True)):
        sliced = jnn.fit_many(
            members, (X, Y), executor=executor, checkpoint=tmp_path, progress=False, **options
        )
        assert_same(sliced, whole)


def test_members_that_diverge_are_told_once():
    rates = np.where(np.arange(M) == 9, 1e20, 1e-3)
    options = {"optimizer": "sgd", "epochs": 3, "learning_rate": rates, "progress": False}
    with pytest.warns(RuntimeWarning, match="1 of 21 members diverged, the first of them member 9"):
        fits = jnn.fit_many(drawn(), (X, Y), executor=Here(), **options)
    assert (fits.stopped == "diverged").nonzero()[0].tolist() == [9]


@pytest.mark.slow
def test_a_process_that_is_killed(tmp_path):
    """The third task of the only process ends it: two slices are there, the others are not."""

    class Killing(ProcessPoolExecutor):
        tasks = 0

        def submit(self, *task):
            self.tasks += 1
            if self.tasks == 3:
                super().submit(os._exit, 1)
            return super().submit(*task)

    members, options = drawn(), {"epochs": 2, "progress": False, "checkpoint": tmp_path}
    with (
        Killing(1, get_context("spawn")) as executor,
        pytest.raises(RuntimeError, match=r"9 of 11 slices failed, .*members 4 to 5: Broken"),
    ):
        jnn.fit_many(members, (X, Y), executor=executor, **options)
    healthy = Here()
    fits = jnn.fit_many(members, (X, Y), executor=healthy, **options)
    assert healthy.tasks == 9
    assert_same(fits, jnn.fit_many(members, (X, Y), epochs=2, progress=False))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"executor": 3}, TypeError, "executor is a int; it must be one of concurrent.futures"),
        ({"loss": lambda p, y: (p - y) ** 2}, TypeError, "loss does not pickle .*: give a name"),
        ({"optimizer": optax.adam(1e-3)}, TypeError, "optimizer does not pickle"),
        ({"learning_rate": RATES[:-1]}, ValueError, "learning_rate is an array of shape"),
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"stop": jnn.Stop(seconds=3)}, ValueError, "stop.seconds is a limit of one program"),
        ({"checkpoint": ""}, ValueError, "directory is ''"),
        ({"progress": print}, TypeError, "progress is a function"),
    ],
)  # fmt: skip
def test_bad_input_is_named_before_a_worker_is_told(options, error, message, as_a_user):
    executor = Here()
    with pytest.raises(error, match=message):
        jnn.fit_many(drawn(), (X, Y), **{"executor": executor, **options})
    assert executor.tasks == 0
