"""The contestants of `scripts/bench many` train the same networks."""

import shutil

import numpy as np
import pytest
from benchmarks.many import large, sweep, table
from benchmarks.many.case import case


@pytest.fixture(scope="module")
def start():
    """Nine networks, more than the lanes of a vector; 200 rows in batches of 32, the last of 8."""
    return case(4, 32, 2, members=9)


@pytest.fixture(scope="module")
def reference(start):
    return start.losses(table.CONTESTANTS["vmap of a textbook loop"].make(start)())


def test_the_losses_of_a_case(start):
    losses = start.losses(start.layers)
    (w1, b1), (w2, b2), (w3, b3) = ((w[-1], b[-1]) for w, b in start.layers)
    errors = [
        w3 @ np.tanh(w2 @ np.tanh(w1 @ x + b1) + b2) + b3 - y
        for x, y in zip(start.x, start.y, strict=True)
    ]
    np.testing.assert_allclose(losses[-1], np.mean(np.square(errors)) / 2, rtol=1e-5)
    assert start.steps == 14
    assert start.first(3, part=2).visits.shape == (1, 200)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name.startswith("C loop") else pytest.mark.slow)
        for name in table.CONTESTANTS
    ],
)
def test_a_contestant_trains_the_same_networks(start, reference, name):
    contestant = table.CONTESTANTS[name]
    for module in contestant.needs:
        pytest.importorskip(module)
    if name.startswith("C loop") and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    given = start
    if name in ("fit_many", "loop of fit") or name.startswith("scikit"):  # orders of their own
        given = start._replace(order=None)
        reference = given.losses(table.CONTESTANTS["vmap of a textbook loop"].make(given)())
    found = given.losses(contestant.make(given)())
    assert np.all(found < 0.999 * start.losses(start.layers))
    np.testing.assert_allclose(found, reference, rtol=1e-4)


@pytest.mark.slow
def test_a_call_in_a_process_of_its_own():
    found = large._asked(large.Work(8, "1-4-1", 40, 10, 2, loop=2, cores=1))
    assert found.keys() == {"cold", "warm", "rise", "loop"}, found
    assert 0 < found["warm"] < found["cold"]
    assert found["rise"] > 0


@pytest.mark.slow
def test_a_sweep_compares_and_times_both(monkeypatch, capsys):
    monkeypatch.setattr(sweep, "ACTIVATIONS", ("tanh",))
    sweep.measure(quick=True)
    *_, table, ours, theirs, ratio = capsys.readouterr().out.splitlines()
    assert table.startswith("16 networks of width 8 in 2 structures, depths 2 to 4, batch 32")
    many, loop = (float(line.split()[i].rstrip(",")) for line, i in ((ours, 1), (theirs, 3)))
    assert float(ratio.split()[-1]) == pytest.approx(many / loop, rel=0.2)
