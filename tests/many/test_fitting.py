"""Many networks at once: each is what `fit` makes of it, whoever its neighbours are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest

import jnn
from jnn.many import groups, host, pace, parts

pytestmark = pytest.mark.table

M = 5
X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
WEIGHTS = 1.0 + np.arange(40) % 3
LABELS = np.arange(40) % 3
RATES = np.array([1e-3, 2e-3, 5e-3, 1e-2, 2e-2])
KEYS = jax.random.split(jax.random.key(7), M)


def drawn(count=M, sizes=(1, 6, 6, 1), **options):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.vmap(lambda key: jnn.init_network_params(sizes, key, **options))(keys)


def drawn_list():
    return [member(drawn(), m) for m in range(M)]


def member(members, m):
    return jax.tree.map(lambda leaf: leaf[m], members)


def assert_same(a, b):
    """To the bit."""
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


def of_member(options, m):
    """The options of `fit` for one member."""

    def one(value):
        if isinstance(value, (jnn.penalties.Penalty, jnn.Stop, jnn.Plateau)):
            fields = dataclasses.fields(value)
            return type(value)(*(one(getattr(value, field.name)) for field in fields))
        if isinstance(value, jnn.losses.Loss):
            return jnn.losses.smoothed(value.measured, one(value.smoothing))
        varied = np.ndim(value) == 1 and not isinstance(value, (str, tuple, list))
        return value[m].item() if varied and isinstance(value, np.ndarray) else value

    key = {"key": options["key"][m]} if np.ndim(options.get("key")) == 1 else {}
    return {name: one(value) for name, value in options.items() if name != "key"} | key


# by what it turns on: (network, data, options)
CASES = {
    "rates": ({}, (X, Y), {"learning_rate": RATES}),
    "all rows": ({}, (X, Y), {"learning_rate": RATES, "batch_size": 40}),
    "in the order of the data": ({}, (X, Y), {"learning_rate": RATES, "shuffle": False}),
    "orders of their own": ({}, (X, Y), {"key": KEYS}),
    "weights, sgd": ({}, (X, Y, WEIGHTS), {"optimizer": "sgd", "learning_rate": RATES}),
    "patience": ({}, (X, Y), {"validation": 0.2, "patience": np.arange(1, 6)}),
    "splits of their own": ({}, (X, Y), {"validation": 0.2, "patience": 3, "key": KEYS}),
    "validation rows": ({}, (X, Y), {"validation": (X[::3], Y[::3]), "learning_rate": RATES}),
    "plateau": (
        {},
        (X, Y),
        {"plateau": jnn.Plateau(patience=1), "learning_rate": 0.1, "optimizer": "momentum"},
    ),
    "target": ({}, (X, Y), {"stop": jnn.Stop(target=0.1), "learning_rate": RATES}),
    "targets of their own": ({}, (X, Y), {"stop": jnn.Stop(target=np.geomspace(0.1, 0.6, M))}),
    "limits of their own": (
        {},
        (X, Y),
        {
            "stop": jnn.Stop(
                tolerance=np.geomspace(1e-3, 0.3, M),
                gradient=np.geomspace(1e-3, 1, M),
                min_improvement=np.geomspace(1e-3, 0.1, M),
            ),
            "patience": 2,
        },
    ),
    "plateaus of their own": (
        {},
        (X, Y),
        {
            "plateau": jnn.Plateau(
                factor=np.linspace(0.1, 0.9, M),
                patience=np.arange(1, 6),
                minimum=np.linspace(0, 0.5, M),
            ),
            "learning_rate": 0.1,
            "optimizer": "momentum",
        },
    ),
    "clipping": ({}, (X, Y), {"clip_norm": np.geomspace(0.01, 1, M)}),
    "label smoothing": (
        {"sizes": (1, 6, 3)},
        (X, LABELS),
        {
            "loss": jnn.losses.smoothed("cross_entropy", np.linspace(0, 0.4, M)),
            "validation": 0.2,
            "watch": ["log_gradients"],
        },
    ),
    "dropout": ({}, (X, Y), {"dropout_rate": np.linspace(0.1, 0.5, M), "key": KEYS}),
    "one mask for all": ({}, (X, Y), {"dropout_rate": 0.3}),
    "penalty": ({}, (X, Y), {"penalty": jnn.penalties.l2(RATES), "clip_norm": 1.0}),
    "elastic net": ({}, (X, Y), {"penalty": jnn.penalties.elastic_net(RATES, 0.5)}),
    "metrics": ({}, (X, Y), {"metrics": ["r2", "max_error"], "watch": ["state_std"]}),
    "classes": (
        {"sizes": (1, 6, 3), "activation": "relu"},
        (X, LABELS),
        {"loss": "cross_entropy", "metrics": "accuracy", "learning_rate": RATES},
    ),
    "residual": ({"sizes": (4, 4, 4, 4), "residual": True}, (np.tile(X, 4), np.tile(Y, 4)), {}),
    "lion": ({}, (X, Y), {"optimizer": "lion", "learning_rate": RATES}),
    "a key in the optimizer": ({}, (X, Y), {"optimizer": optax.noisy_sgd(0.1, key=KEYS[0])}),
    "bfgs": ({}, (X, Y), {"optimizer": "bfgs"}),
    "lbfgs": ({}, (X, Y), {"optimizer": "lbfgs"}),
    "levenberg_marquardt": ({}, (X, Y), {"optimizer": "levenberg_marquardt"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_member_is_what_fit_makes_of_it(case, x64):
    assert_as_alone(case)


IN_TURN = ["splits of their own", "dropout", "one mask for all", "bfgs", "patience", "weights, sgd"]


@pytest.mark.parametrize("case", IN_TURN)
def test_in_turn_it_is_so_as_well(case, x64, in_turn):
    assert_as_alone(case)
    assert all(in_turn)


@pytest.fixture
def in_turn(monkeypatch):
    """Every network counts as deep; whether each program trained its members in turn."""
    monkeypatch.setattr(groups, "_DEEP", 1)
    traced, seen = parts.Part.traced, []

    def spied(part, *arguments):
        seen.append(part.in_turn)
        return traced(part, *arguments)

    monkeypatch.setattr(parts.Part, "traced", spied)
    return seen


def test_copies_that_fill_a_group_are_done(in_turn):
    """Three members in a program of eight: five copies, whose loop ends before it begins."""
    with groups.of(8):
        fits = jnn.fit_many(drawn(3), (X, Y), epochs=3, progress=False)
    members = drawn(3)
    assert fits.epochs.tolist() == [3, 3, 3]
    for m in range(3):
        alone = jnn.fit(member(members, m), (X, Y), epochs=3, progress=False)
        assert oracles.apart(fits[m].params, alone.params) < 1e-5


def test_half_precision():
    members = drawn(3, dtype=jnp.bfloat16)
    fits = jnn.fit_many(members, (X, Y), epochs=3, progress=False)
    for m in range(3):
        alone = jnn.fit(member(members, m), (X, Y), epochs=3, progress=False)
        assert jax.tree.leaves(fits.params)[0].dtype == jnp.bfloat16
        assert oracles.apart(fits[m].params, alone.params) < 1e-2


def test_what_a_callback_was_given_stays_as_it_was(an_epoch_at_a_time):
    kept = []

    def keep(fits):
        kept.append((fits.params, jax.tree.map(np.array, fits.params)))

    jnn.fit_many(drawn(4, (40, 40, 40, 1)), (np.tile(X, 40), Y), epochs=6, progress=keep)
    assert len(kept) > 2
    for then, copy in kept:
        assert_same(then, copy)


def assert_as_alone(case):
    """Each member of `fit_many` beside `fit`."""
    network, data, options = CASES[case]
    members = drawn(**network, dtype=jnp.float64)
    fits = jnn.fit_many(members, data, epochs=12, progress=False, **options)
    assert len(fits) == M
    for m in range(M):
        alone = jnn.fit(
            member(members, m), data, epochs=12, progress=False, **of_member(options, m)
        )
        found = fits[m]
        for name in ("stopped", "epochs", "best_epoch"):
            assert getattr(found, name) == getattr(alone, name), name
        assert found.history.keys() == alone.history.keys()
        tolerance = 1e-6 if "bfgs" in case or case == "levenberg_marquardt" else 1e-9
        for name, column in alone.history.items():
            np.testing.assert_allclose(
                found.history[name], column, rtol=tolerance, atol=tolerance, err_msg=name
            )
        for part in ("params", "last_params", "best_params"):
            assert oracles.apart(getattr(found, part), getattr(alone, part)) < tolerance


def test_a_loss_may_be_an_object():
    """A named tuple of functions, which is no column of numbers."""
    options = {"loss": jnn.losses.quantile(0.3), "epochs": 2, "progress": False}
    fits = jnn.fit_many(drawn(), (X, Y), **options)
    alone = jnn.fit(member(drawn(), 1), (X, Y), **options)
    np.testing.assert_allclose(fits.history["loss"][1], alone.history["loss"], rtol=1e-5)
    of_folds = jnn.cross_validate(drawn(), (X, Y), 3, **options)
    assert np.isfinite(of_folds.history["loss"]).all()


@pytest.mark.parametrize("deep", [64, 1], ids=["abreast", "in turn"])
def test_neighbours_place_and_threads_change_no_bit(deep, monkeypatch):
    monkeypatch.setattr(groups, "_DEEP", deep)
    members = drawn(24)
    whole = jnn.fit_many(members, (X, Y), epochs=5, progress=False)
    order = np.random.default_rng(0).permutation(24)
    moved = jnn.fit_many(member(members, order), (X, Y), epochs=5, progress=False)
    assert_same(member(whole.params, order), moved.params)
    monkeypatch.setattr(groups, "group_size", lambda *_: 16)
    two = jnn.fit_many(members, (X, Y), epochs=5, progress=False)
    monkeypatch.setattr(groups, "threads", lambda _: 1)
    one = jnn.fit_many(members, (X, Y), epochs=5, progress=False)
    assert_same(two.params, one.params)


def test_chunks_change_no_bit(request):
    members = drawn()
    options = {"epochs": 9, "progress": False, "learning_rate": RATES, "key": KEYS}
    whole = jnn.fit_many(members, (X, Y), **options)
    request.getfixturevalue("an_epoch_at_a_time")
    parts = jnn.fit_many(members, (X, Y), **options)
    assert_same(whole.params, parts.params)
    np.testing.assert_array_equal(whole.history["loss"], parts.history["loss"])


def test_one_that_diverges_keeps_its_last_finite_parameters_and_the_others_go_on():
    rates = np.array([1e-2, 1e20, 1e-2, 1e-2, 1e-2])
    options = {"optimizer": "sgd", "epochs": 6, "progress": False}
    with pytest.warns(RuntimeWarning, match="1 of 5 members diverged, the first of them member 1"):
        fits = jnn.fit_many(drawn(), (X, Y), learning_rate=rates, **options)
    assert fits.stopped.tolist() == ["epochs", "diverged", "epochs", "epochs", "epochs"]
    assert fits.epochs[0] == 6
    assert fits.epochs[1] < 6
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fits.params))
    assert np.isnan(fits.history["loss"][1, fits.epochs[1] :]).all()
    assert fits.best().history["loss"][-1] == np.nanmin(fits.history["loss"][:, -1])


def test_members_that_are_done_leave_their_groups(monkeypatch, an_epoch_at_a_time):
    """Of 64 members one of eight is left after some epochs: groups are packed anew."""
    calls = []
    call = host._call

    def counted(*arguments):
        calls.append(1)
        return call(*arguments)

    monkeypatch.setattr(host, "_call", counted)
    monkeypatch.setattr(groups, "group_size", lambda *_: 8)
    patience = np.where(np.arange(64) % 8 == 0, 1000, 1)
    fits = jnn.fit_many(
        drawn(64), (X, Y), epochs=40, patience=patience, learning_rate=1.0, progress=False
    )
    assert (fits.epochs[::8] == 40).all()
    assert len(calls) < 40 * 8 / 3


def test_a_time_limit_ends_all(monkeypatch):
    monkeypatch.setattr(pace, "LOOK_SECONDS", 0.01)
    fits = jnn.fit_many(drawn(), (X, Y), epochs=10**7, stop=jnn.Stop(seconds=0.2), progress=False)
    assert set(fits.stopped) == {"seconds"}
    assert (fits.epochs == fits.epochs[0]).all()


def test_parts_of_a_result():
    members = drawn(M)
    fits = jnn.fit_many(
        members, (X, Y), learning_rate=RATES, validation=0.2, patience=2, epochs=8, progress=False
    )
    few = fits[fits.numbers["learning_rate"] > 3e-3]
    assert [len(few), len(fits[1:3]), len(list(fits))] == [3, 2, M]
    assert_same(few[0].params, fits[2].params)
    assert_same(fits[-1].params, fits[4].params)
    best = fits.best("validation_loss")
    assert min(best.history["validation_loss"]) == np.nanmin(fits.history["validation_loss"])
    table = fits.table()
    assert {len(column) for column in table.values()} == {M}
    assert {"learning_rate", "epochs", "stopped", "loss", "least_validation_loss"} <= set(table)
    assert "5 networks" in str(fits)
    mean, std = fits.predict(X)
    outputs = np.stack([jnn.predict(fit.params, X) for fit in fits])
    np.testing.assert_allclose(mean, outputs.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, outputs.std(0), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="no 'mse' was recorded, but loss"):
        fits.best("mse")
    with pytest.raises(IndexError):
        fits[M]


@pytest.mark.parametrize("name", ["loss", "penalty", "plateau", "stop"])
def test_what_has_numbers_of_its_own_is_no_column(name, as_a_user):
    with pytest.raises(TypeError, match=rf"{name} is \[1\.0, .*; it must be "):
        jnn.fit_many(drawn(), (X, Y), **{name: [1.0] * M})


def test_raw_keys():
    raw = jax.random.key_data(KEYS)
    fits = [jnn.fit_many(drawn(), (X, Y), epochs=2, key=key, progress=False) for key in (raw, KEYS)]
    assert_same(fits[0].params, fits[1].params)


def test_a_list_of_networks():
    networks = [jnn.init_network_params([1, 4, 1], jax.random.key(i)) for i in range(3)]
    fits = jnn.fit_many(networks, (X, Y), epochs=3, progress=False)
    alone = jnn.fit(networks[2], (X, Y), epochs=3, progress=False)
    assert oracles.apart(fits[2].params, alone.params) < 1e-5


def test_one_program_whatever_the_numbers(monkeypatch):
    """Of values, epochs, keys and members in groups of one size."""
    compiled = []

    def listen(event, duration, **of):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(of.get("fun_name"))

    monkeypatch.setattr(groups, "group_size", lambda *_: 64)
    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    for count, rate, epochs in ((100, 1e-3, 3), (110, 1e-2, 7), (64, 0.1, 2)):
        rates = np.full(count, rate)
        jnn.fit_many(drawn(count), (X, Y), learning_rate=rates, epochs=epochs, progress=False)
    jax.monitoring.unregister_event_duration_listener(listen)
    assert sum("run" in str(name) for name in compiled) == 1


@pytest.mark.parametrize(
    ("members", "options", "error", "message"),
    [
        (drawn, {"learning_rate": RATES[:-1]}, ValueError,
         r"learning_rate is an array of shape \(4,\); it must be one number, or \(5,\)"),
        (drawn, {"learning_rate": -RATES}, ValueError, "learning_rate is"),
        (drawn, {"learning_rate": [np.nan] * M}, ValueError, "learning_rate must hold numbers"),
        (drawn, {"patience": np.ones((M, 2))}, ValueError, r"shape \(5, 2\)"),
        (drawn, {"patience": np.full(M, 1.5)}, (TypeError, ValueError), "patience is 1.5"),
        (drawn, {"dropout_rate": np.full(M, 1.0)}, ValueError, "dropout"),
        (drawn, {"penalty": jnn.penalties.Penalty(l2=RATES[:2])}, ValueError, "l2 is an array"),
        (drawn, {"key": KEYS[:2]}, ValueError, "key has shape"),
        (drawn, {"progress": "yes"}, TypeError, "progress is"),
        (drawn, {"key": 3}, TypeError, "key is 3"),
        (drawn, {"batch_size": 41}, ValueError, "batch_size is 41"),
        (lambda: member(drawn(), 0), {}, ValueError, "for a single network take fit"),
        (list, {}, TypeError, "members is an empty list"),
        (lambda: member(drawn(), slice(0, 0)), {}, ValueError, "there are no members"),
        (lambda: [*drawn_list(), jnn.from_layers([(np.float16(1.0), np.float16(0.0))])], {},
         ValueError, "members are of dtypes float16 and float32: give all of them one"),
        (lambda: [*drawn_list(), jnn.init_network_params([2, 1], KEYS[0])], {}, ValueError,
         "member 5: .*this network takes"),
        (lambda: [*drawn_list(), 3], {}, TypeError, "member 5 is no network"),
        (drawn, {"optimizer": "sm3", "learning_rate": RATES}, ValueError,
         "learning_rate cannot differ between members here"),
        (drawn, {"stop": jnn.Stop(target=RATES[:2])}, ValueError, "target is an array of shape"),
        (drawn, {"plateau": jnn.Plateau(patience=np.array([1, 2]))}, ValueError,
         "patience is an array"),
        (drawn, {"batch_size": np.arange(5)}, TypeError, "batch_size is"),
        (drawn, {"epochs": np.arange(5)}, TypeError, "epochs is"),
        (drawn, {"clip_norm": np.array([1.0, 1.0, 0.0, 1.0, 1.0])}, ValueError, "clip_norm is 0"),
        (lambda: jax.tree.map(lambda a: a.at[1].set(jnp.nan), drawn()), {}, ValueError,
         "1 members hold NaN or infinity before any step, the first of them member 1"),
        (lambda: [*drawn_list(), jax.tree.map(lambda a: a * jnp.inf, drawn_list()[0])], {},
         ValueError, "the first of them member 5"),
        (lambda: tuple(drawn_list()), {}, TypeError, "networks of several structures .* a list"),
        (drawn, {"key": np.arange(M)}, TypeError, r"key is an array of int64 \(5,\)"),
        (drawn, {"learning_rate": [[0.1], [0.2, 0.3]]}, ValueError, "learning_rate is ragged"),
        (lambda: 3, {}, TypeError, "members is a int"),
    ],
)  # fmt: skip
def test_bad_input_is_named_before_anything_is_computed(
    members, options, error, message, as_a_user
):
    with pytest.raises(error, match=message):
        jnn.fit_many(members(), (X, Y), **options)


def test_numbers_come_in_any_column():
    """Lists, ranges, half precision: what else has a length is read as data are."""
    whole = jnn.fit_many(drawn(), (X, Y), epochs=2, progress=False)
    for options in (
        {"patience": range(1, M + 1)},
        {"learning_rate": jnp.asarray(RATES, jnp.bfloat16)},
        {"key": list(KEYS)},
    ):
        fits = jnn.fit_many(drawn(), (X, Y), epochs=2, progress=False, **options)
        assert fits.history["loss"].shape == whole.history["loss"].shape


def test_members_that_are_traced_are_refused():
    with pytest.raises(TypeError, match="members are traced"):
        jax.jit(lambda members: jnn.fit_many(members, (X, Y)).params)(drawn())


def test_streams_and_stacked_networks_are_sent_to_the_right_function():
    with pytest.raises(TypeError, match="a stream gives each batch to one run, fit"):
        jnn.fit_many(drawn(), lambda epoch: [(X, Y)])
    with pytest.raises(ValueError, match="members of many networks go to fit_many"):
        jnn.fit(drawn(), (X, Y))
