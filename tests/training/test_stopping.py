"""When a run stops: every rule against the history it acts on, replayed in plain Python."""

import os
import signal
import threading
import time
from functools import partial

import jax
import numpy as np
import oracles
import pytest

import jnn
from jnn.training import compiled

N = 24
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
Y = np.sin(X.sum(axis=1, keepdims=True)) + 0.3 * RNG.standard_normal((N, 1))
TRAIN, HELD = (X[:12], Y[:12]), (X[12:], Y[12:])
START = oracles.network([2, 8, 8, 1])
fit = partial(
    jnn.fit, START, TRAIN, optimizer="adam", learning_rate=0.01, batch_size=4, progress=False
)


def same(a, b):
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def patience_in_python(losses, patience, least=0.0):
    """(epoch it stops in, best epoch), both from 1."""
    best, best_epoch = np.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < np.float32(best) - np.float32(least):
            best, best_epoch = loss, epoch
        if epoch - best_epoch >= patience:
            return epoch, best_epoch
    return len(losses), best_epoch


@pytest.mark.parametrize("validation", [HELD, None], ids=["validation", "training"])
@pytest.mark.parametrize(
    ("patience", "least"), [(1, 0.0), (5, 0.0), (20, 0.0), (5, 1e-2), (3, 0.05)]
)
def test_patience_stops_where_the_rule_in_python_does_and_restores_the_best(
    patience, least, validation
):
    never = jnn.Stop(target=-1.0)  # without a rule, "loss" is that of the epoch's minibatches
    whole = fit(validation=validation, epochs=300, stop=never)
    watched = whole.history["loss" if validation is None else "validation_loss"]
    epoch, best = patience_in_python(watched, patience, least)
    result = fit(
        validation=validation, epochs=300, patience=patience, stop=jnn.Stop(min_improvement=least)
    )
    assert (result.epochs, result.best_epoch) == (epoch, best)
    assert result.stopped == ("patience" if epoch < 300 else "epochs")
    np.testing.assert_array_equal(result.history["loss"], whole.history["loss"][:epoch])
    assert same(result.params, fit(validation=validation, epochs=best).last_params)
    assert same(result.best_params, result.params)
    assert same(result.last_params, fit(validation=validation, epochs=epoch).params)
    if epoch < 300:
        assert f"stopped in epoch {epoch}: no improvement" in str(result)


def test_without_patience_the_last_parameters_are_the_result_and_the_best_are_kept():
    result = fit(validation=HELD, epochs=300)
    best = int(np.argmin(result.history["validation_loss"])) + 1
    assert result.best_epoch == best < 300
    assert same(result.params, result.last_params)
    assert same(result.best_params, fit(validation=HELD, epochs=best).params)
    assert not same(result.params, result.best_params)
    assert f"in epoch {best}" in str(result)


def test_the_target_stops_the_run_in_the_first_epoch_that_reaches_it():
    losses = fit(epochs=100, stop=jnn.Stop(target=-1.0)).history["loss"]
    target = float(losses[40])
    first = int(np.argmax(losses <= target)) + 1
    result = fit(epochs=100, stop=jnn.Stop(target=target))
    assert (result.epochs, result.stopped) == (first, "target")


def test_the_tolerance_is_on_the_relative_change_of_the_training_loss():
    losses = fit(epochs=300, stop=jnn.Stop(target=-1.0)).history["loss"].astype(float)
    change = np.abs(np.diff(losses)) / np.maximum(losses[1:], losses[:-1])
    # the change from epoch i to i + 1 is known after i + 1
    first = int(np.argmax(change <= 1e-2)) + 2
    assert 2 < first < 300
    result = fit(epochs=300, stop=jnn.Stop(tolerance=1e-2))
    assert (result.epochs, result.stopped) == (first, "tolerance")


@pytest.mark.parametrize("streamed", [False, True], ids=["arrays", "stream"])
def test_the_gradient_stops_the_run_in_the_first_epoch_whose_norm_is_so_small(streamed):
    data = (lambda epoch: [TRAIN]) if streamed else TRAIN
    size = None if streamed else 12
    run = partial(jnn.fit, START, data, optimizer="adam", learning_rate=0.01, batch_size=size)
    norms = run(epochs=60, progress=False).history["gradient_norm"]
    limit = float(norms[40])
    first = int(np.argmax(norms <= limit)) + 1
    result = run(epochs=60, progress=False, stop=jnn.Stop(gradient=limit))
    assert (result.epochs, result.stopped) == (first, "gradient")
    assert f"stopped in epoch {first}: the gradient was as small as asked for" in str(result)


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        ("bfgs", "float32"),
        ("lbfgs", "float32"),
        ("levenberg_marquardt", "float32"),
        pytest.param("bfgs", "float16", marks=pytest.mark.slow),
        ("lbfgs", "float16"),
        pytest.param("levenberg_marquardt", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_second_order_methods_end_where_no_step_lowers_the_loss(optimizer, dtype):
    """On a linear network, whose best loss NumPy knows, after some ten iterations."""
    start = jnn.init_network_params([2, 1], jax.random.key(0), dtype=dtype)
    result = jnn.fit(start, (X, Y), optimizer=optimizer, epochs=100, progress=False)
    assert result.stopped == "converged"
    assert result.epochs <= 30
    A = np.column_stack([X, np.ones(N)])
    least = np.mean((A @ np.linalg.lstsq(A, Y)[0] - Y) ** 2) / 2
    rounding = {"float32": 1e-5, "float16": 1e-2, "bfloat16": 0.05}[dtype]
    assert result.history["loss"][-1] == pytest.approx(least, rel=rounding)
    # another epoch would change nothing
    shorter = jnn.fit(start, (X, Y), optimizer=optimizer, epochs=result.epochs - 1, progress=False)
    assert same(shorter.params, result.params)


def test_a_resumed_run_goes_on_past_the_gradient_but_not_past_convergence(tmp_path):
    run = partial(
        jnn.fit, oracles.network([2, 1]), (X, Y), optimizer="bfgs", epochs=100, progress=False
    )
    first = run(checkpoint=tmp_path, stop=jnn.Stop(gradient=1e-2))
    again = run(checkpoint=tmp_path)
    whole = run()
    assert (first.stopped, again.stopped, whole.stopped) == ("gradient", "converged", "converged")
    # rules that look at the loss are another program, which may round another way
    assert again.resumed == first.epochs < again.epochs
    assert oracles.apart(again.params, whole.params) < 1e-4
    assert run(checkpoint=tmp_path).epochs == again.epochs


def test_a_plateau_cuts_the_rate_where_the_rule_in_python_does():
    plateau = jnn.Plateau(factor=0.5, patience=3, minimum=0.1)
    result = fit(validation=HELD, epochs=120, plateau=plateau)
    best, waited, scale, rates = np.inf, 0, 1.0, []
    for loss in result.history["validation_loss"]:
        rates.append(0.01 * scale)
        improved = loss < best
        best, waited = (loss, 0) if improved else (best, waited + 1)
        if waited >= 3:
            scale, waited = max(0.5 * scale, 0.1), 0
    np.testing.assert_allclose(result.history["learning_rate"], rates, rtol=1e-6)
    assert rates[-1] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({"patience": 3}, {"patience": 4}),
        ({"stop": jnn.Stop(target=0.1)}, {"stop": jnn.Stop(target=0.2, seconds=9.0)}),
        ({"stop": jnn.Stop(tolerance=1e-4)}, {"stop": jnn.Stop(tolerance=1e-3)}),
        ({"stop": jnn.Stop(gradient=1e-4)}, {"stop": jnn.Stop(gradient=1e-3)}),
        ({"plateau": jnn.Plateau()}, {"plateau": jnn.Plateau(factor=0.1, patience=2, minimum=0.1)}),
        ({"learning_rate": 0.02}, {"learning_rate": 0.03}),
        ({"epochs": 3}, {"epochs": 4}),
    ],
)
def test_limits_and_rates_are_numbers_to_one_program(options, others):
    fit(**{"validation": HELD, "epochs": 4, **options})
    before = compiled.run._cache_size()
    fit(**{"validation": HELD, "epochs": 4, **others})
    assert compiled.run._cache_size() == before


def test_the_time_is_limited():
    result = fit(epochs=10**7, stop=jnn.Stop(seconds=0.5))
    assert result.stopped == "seconds"
    assert 0.5 <= result.run_seconds < 2
    assert 0 < result.epochs < 10**7


def test_the_callback_sees_the_run_so_far_and_may_stop_it():
    seen = []

    def callback(so_far):
        seen.append(so_far)
        return so_far.epochs >= 50

    result = fit(epochs=10**6, progress=callback)
    assert result.stopped == "progress"
    assert result.epochs == seen[-1].epochs >= 50
    assert same(result.params, fit(epochs=result.epochs).params)
    assert all(len(s.history["gradient_norm"]) == s.epochs for s in seen)


def test_a_callback_stops_by_true_alone():
    assert fit(epochs=30, progress=lambda so_far: so_far.history["loss"]).stopped == "epochs"
    assert fit(epochs=30, progress=lambda so_far: np.bool_(so_far.epochs < 0)).stopped == "epochs"


def test_what_comes_with_the_last_epoch_stops_nothing():
    assert fit(epochs=1, progress=lambda so_far: True).stopped == "epochs"


@pytest.fixture
def ctrl_c_interrupts():
    """A process started in the background of a shell ignores Ctrl-C, and so would `fit`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_after(seconds):
    def press():
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def test_ctrl_c_ends_the_run_and_returns_what_was_reached(ctrl_c_interrupts):
    def press(so_far):  # while the run is under way, however slow the machine is
        if so_far.epochs < 10**5:
            signal.raise_signal(signal.SIGINT)

    result = fit(epochs=10**6, progress=press)
    assert result.stopped == "interrupted"
    assert "Ctrl-C" in str(result)
    assert 0 < result.epochs == len(result.history["loss"])
    assert same(result.params, fit(epochs=result.epochs).params)


def test_after_a_run_ctrl_c_means_what_it_meant(ctrl_c_interrupts):
    fit(epochs=3)
    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        time.sleep(5)


def test_a_run_outside_of_the_main_thread_works():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(epochs=3)))
    thread.start()
    thread.join()
    assert same(results[0].params, fit(epochs=3).params)


def test_the_table_and_the_print_are_of_the_history():
    result = fit(validation=HELD, epochs=40, metrics="r2", patience=30)
    table = result.table(rows=5).splitlines()
    assert len(table) == 6
    names = table[0].split()[1:]
    assert (
        names
        == ["loss", "validation_loss", "r2", "validation_r2", "learning_rate", "gradient_norm"]
        == [*result.history]
    )
    assert [int(line.split()[0]) for line in table[1:]] == [1, 11, 20, 30, 40][
        : len(table) - 1
    ] or result.epochs < 40
    last = [float(cell) for cell in table[-1].split()[1:]]
    np.testing.assert_allclose(last, [column[-1] for column in result.history.values()], rtol=1e-4)
    assert "validation loss" in str(result)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience is 0; it must be an integer of at least 1"),
        ({"patience": "5"}, TypeError, "patience is '5'; it must be an integer"),
        ({"patience": 1.5}, TypeError, "patience is 1.5; it must be an integer"),
        ({"patience": True}, TypeError, "patience is True; it must be an integer"),
        ({"plateau": 10}, TypeError, r"plateau is 10; it must be a jnn\.Plateau"),
        ({"stop": 10}, TypeError, r"stop is 10; it must be a jnn\.Stop"),
        ({"progress": 3}, TypeError, "progress is 3; it must be True, False, None, or a function"),
    ],
)
def test_wrong_limits_are_refused(options, error, message, as_a_user):
    with pytest.raises(error, match=message):
        fit(**options)


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ({"min_improvement": -1.0}, ValueError, "min_improvement is -1.0; .* at least 0"),
        ({"min_improvement": None}, TypeError, "min_improvement is None; it must be a number"),
        ({"target": float("nan")}, ValueError, "target is nan; it must be finite"),
        ({"tolerance": -0.1}, ValueError, "tolerance is -0.1; it must be finite and at least 0"),
        ({"gradient": -1}, ValueError, "gradient is -1; it must be finite and at least 0"),
        ({"gradient": True}, TypeError, "gradient is True; it must be a number"),
        ({"seconds": 0}, ValueError, "seconds is 0; it must be finite and above 0"),
        ({"seconds": True}, TypeError, "seconds is True; it must be a number"),
    ],
)
def test_wrong_stops_are_refused(limits, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.Stop(**limits)


@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        ({"factor": 2.0}, ValueError, "factor is 2.0; it must be above 0 and below 1"),
        ({"patience": 0}, ValueError, "patience is 0; it must be an integer of at least 1"),
        ({"patience": True}, TypeError, "patience is True; it must be an integer"),
        ({"minimum": 1.0}, ValueError, "minimum is 1.0; it must be at least 0 and below 1"),
    ],
)
def test_a_wrong_plateau_is_refused(numbers, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.Plateau(**numbers)


def test_a_loss_that_stays_zero_stops_nothing_that_was_not_asked_for():
    exact = jnn.from_layers([(1.0, 0.0)])
    x = np.ones((4, 1))
    result = jnn.fit(exact, (x, x), optimizer="sgd", epochs=5, progress=False)
    assert (result.epochs, result.stopped) == (5, "epochs")
