"""scripts/many: what it reads and writes, from one process and from several."""

import csv

import jax
import numpy as np
import pytest
from studies import many

import jnn

SMALL = ["--hidden", "4", "--seeds", "2", "--epochs", "3"]
SWEEP = ["--learning-rate", "0.001", "0.01", "--l2", "0", "0.1"]


def table(folder):
    with (folder / "members.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sweep_of_a_problem(tmp_path, capsys):
    assert many.main(["logarithm", *SMALL, *SWEEP, "--out", str(tmp_path)]) == 0
    rows = table(tmp_path)
    design = [(float(row["learning_rate"]), float(row["l2"]), int(row["seed"])) for row in rows]
    assert design == [(r, l, s) for r in (0.001, 0.01) for l in (0, 0.1) for s in (0, 1)]
    assert capsys.readouterr().out.startswith("8 networks, up to 3 epochs")
    best = jnn.load(tmp_path / "best.safetensors")
    losses = [float(row["loss"]) for row in rows]
    rate, l2, seed = design[int(np.argmin(losses))]
    start = jnn.init_network_params([1, 4, 1], jax.random.key(seed))
    alone = jnn.fit(
        start,
        jnn.data.logarithm(),
        loss="mse",
        learning_rate=rate,
        penalty=jnn.penalties.l2(l2),
        key=jax.random.key(seed),
        epochs=3,
        progress=False,
    )
    for a, b in zip(jax.tree.leaves(best), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_table_is_kept_where_all_diverge(tmp_path, capsys):
    command = ["logarithm", *SMALL, "--optimizer", "sgd", "--learning-rate", "1e30"]
    with pytest.warns(RuntimeWarning, match="2 of 2 members diverged"):
        assert many.main([*command, "--out", str(tmp_path)]) == 1
    assert [row["stopped"] for row in table(tmp_path)] == ["diverged", "diverged"]
    assert "all networks diverged, none of them is kept" in capsys.readouterr().out
    assert not (tmp_path / "best.safetensors").exists()


@pytest.mark.slow
def test_processes_write_the_same_bytes_and_the_same_command_goes_on(tmp_path, monkeypatch):
    command = ["logarithm", *SMALL, "--learning-rate", "0.001", "0.01", "--out"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert many.main([*command, str(one)]) == 0
    assert many.main([*command, str(two), "--processes", "2"]) == 0
    assert (one / "members.csv").read_bytes() == (two / "members.csv").read_bytes()
    (two / "members.csv").unlink()
    monkeypatch.setattr(many, "ProcessPoolExecutor", lambda *_: Idle())
    assert many.main([*command, str(two), "--processes", "2"]) == 0
    assert (one / "members.csv").read_bytes() == (two / "members.csv").read_bytes()


class Idle:
    """An executor that is given nothing to do."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, *_):
        raise AssertionError("a slice that is there was trained")


X = np.arange(6.0).reshape(3, 2)


def test_rows_of_files(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=X[:, 0], weights=[1, 2, 3])
    x, y, weights = many.read_rows(str(tmp_path / "a.npz"), 1, labels=False)
    assert [x.shape, y.shape, weights.tolist()] == [(3, 2), (3, 1), [1, 2, 3]]
    (tmp_path / "b.csv").write_text("a,b,c\n1,2,0\n3,4,1\n")
    x, y = many.read_rows(str(tmp_path / "b.csv"), 1, labels=True)
    assert [x.tolist(), y.tolist(), y.dtype.kind] == [[[1, 2], [3, 4]], [0, 1], "i"]
    (tmp_path / "c.csv").write_text("1,2,0\n3,4,1\n")
    x, y = many.read_rows(str(tmp_path / "c.csv"), 2, labels=False)
    assert [x.tolist(), y.tolist()] == [[[1], [3]], [[2, 0], [4, 1]]]


@pytest.mark.slow
def test_labels_make_an_output_for_each_class(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(12.0)[:, None], y=np.arange(12) % 3)
    command = [str(tmp_path / "a.npz"), *SMALL, "--loss", "cross_entropy"]
    command += ["--validation", "0.25", "--patience", "2", "--metrics", "accuracy"]
    assert many.main([*command, "--out", str(tmp_path)]) == 0
    assert jnn.sizes(jnn.load(tmp_path / "best.safetensors")) == (1, 4, 3)
    assert {"accuracy", "validation_accuracy"} <= set(table(tmp_path)[0])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere.npz"], "No such file or directory: 'nowhere.npz'"),
        (["rows.txt"], "data is 'rows.txt'; it must be .npz, .csv, or line"),
        (["line", "--seeds", "0"], "'0' is not a number of seeds: give a whole number from 1"),
        (["line", "--hidden", "--learning-rate", "-1"], "learning_rate is -1.0"),
        (["line", "--loss", "log"], "invalid choice: 'log'"),
        (["line", "--validation", "2"], "validation is 2.0"),
    ],
)
def test_a_bad_value_gets_one_line_and_exit_code_2(arguments, named, tmp_path, capsys, as_a_user):
    with pytest.raises(SystemExit) as stopped:
        many.main([*arguments, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


def test_its_help_holds_the_lines_of_slurm(capsys):
    with pytest.raises(SystemExit):
        many.main(["--help"])
    assert "#SBATCH --ntasks" in capsys.readouterr().out
