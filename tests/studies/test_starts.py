"""scripts/initializers, small: what it prints, and that the start decides."""

import numpy as np
import pytest
from studies import shared, starts


@pytest.mark.slow
def test_a_small_table_of_starts(capsys, as_a_user):
    arguments = ["--depths", "2", "--steps", "20", "--seeds", "2", "--activations", "gelu"]
    assert starts.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    printed = [line.split()[1] for line in lines if line.startswith("gelu")]
    assert printed == list(starts.STARTS["gelu"])


@pytest.mark.slow
def test_the_start_decides_at_depth_100():
    """As the table in scripts/studies/results says of 400 layers."""
    glorot, critical = (
        starts.losses("tanh", init, False, 100, 500, 2)
        for init in ("glorot_uniform", "critical_orthogonal")
    )
    assert np.max(critical) < 0.002
    assert np.min(glorot) > 5 * np.max(critical)


def test_the_table_is_saved_as_it_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(starts, "losses", lambda *_: np.array([0.5, 0.25, np.nan]))
    saved = []
    monkeypatch.setattr(shared, "write_table", lambda name, text: saved.append((name, text)))
    assert starts.main(["--depths", "2", "30", "--activations", "tanh", "--save"]) == 0
    ((name, text),) = saved
    assert name == "starts"
    about, blank, *lines = text.splitlines()
    assert "jnn" in about
    assert blank == ""
    assert lines == capsys.readouterr().out.splitlines()
    assert lines[1].split("layers") == [f"{'':<35}{'2 ':>19}", f"{'30 ':>19}", ""]
    rows = [f"tanh            {init}" for init in starts.STARTS["tanh"]]
    rows += [f"tanh residual   {init}" for init in starts.RESIDUAL["tanh"]]
    assert [line[:35].rstrip() for line in lines[2:-1]] == [
        f"{row[:14]} {row[16:]}" for row in rows
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--steps", "-3"], "'-3' is not a number of steps: give a whole number from 1"),
        (["--depths", "0"], "'0' is not a depth: give a whole number from 1 to 100000"),
        (["--seeds", "0"], "'0' is not a number of seeds"),
        (["--activations", "swish"], "invalid choice: 'swish'"),
        (["--record"], "unrecognized arguments: --record"),
    ],
)
def test_a_bad_value_gets_one_line_and_exit_code_2(capsys, arguments, named):
    with pytest.raises(SystemExit) as stopped:
        starts.main(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert err.startswith("initializers: ")
    assert err.count("\n") == 1
    assert named in err
