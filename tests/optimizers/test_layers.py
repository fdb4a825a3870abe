"""Optimizers on a network against the same ones on the list of its layers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
from optax import contrib

import jnn
from jnn.optimizers import layers
from jnn.optimizers.layers import on_layers

pytestmark = pytest.mark.table

APART = 1e-5  # after three steps, in float32
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
Y = np.sin(X[:, :2])
DEEP = oracles.network([3, 4, 4, 4, 4, 2], seed=1)
TAPERED = oracles.network([3, 5, 4, 2])
AS_IT_IS, BY_STACK, BY_LIST = "as it is", "by stack", "by list"


def matrices(params):
    return jax.tree.map(lambda a: a.ndim > 1, params)


def readout_or_hidden(params):
    def label(path, _):
        return "readout" if path[0].idx == len(params) - 1 else "hidden"

    return jax.tree_util.tree_map_with_path(label, params)


def second_layer(params):
    return [("frozen", "frozen") if i == 1 else ("free", "free") for i in range(len(params))]


# the way taken for a network of a deep stack, with …
NAMED = {
    name: (AS_IT_IS, known.make(0.01))
    for name, known in jnn.OPTIMIZERS.items()
    if known.learning_rate and name != "lamb"
}
OTHERS = {
    "lamb": (BY_STACK, optax.lamb(0.01)),
    "lars": (BY_STACK, optax.lars(0.1)),
    "fromage": (BY_STACK, optax.fromage(0.1)),
    "adafactor": (BY_STACK, optax.adafactor(0.01, min_dim_size_to_factor=2)),
    "sm3": (BY_STACK, optax.sm3(0.1)),
    "muon": (BY_STACK, contrib.muon(0.01)),
    "adaptive clipping": (BY_STACK, optax.chain(optax.adaptive_grad_clip(0.1), optax.sgd(0.1))),
    "clipping by block": (BY_STACK, optax.chain(optax.clip_by_block_rms(0.1), optax.sgd(0.1))),
    "centralized": (BY_STACK, optax.chain(optax.centralize(), optax.sgd(0.1))),
    "mask by dimension": (BY_STACK, optax.adamw(0.1, weight_decay=0.1, mask=matrices)),
    "global norm": (AS_IT_IS, optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.01))),
    "normalized": (AS_IT_IS, optax.chain(contrib.normalize(), optax.sgd(0.1))),
    "injected": (AS_IT_IS, optax.inject_hyperparams(optax.adam)(learning_rate=0.1)),
    "rprop": (AS_IT_IS, optax.rprop(0.01)),
    "adan": (AS_IT_IS, optax.adan(0.01)),
    "ademamix": (AS_IT_IS, contrib.ademamix(0.01)),
    "cocob": (AS_IT_IS, contrib.cocob()),
    "polyak": (AS_IT_IS, optax.polyak_sgd()),
    "sharpness aware": (
        AS_IT_IS,
        contrib.sam(optax.sgd(0.01), optax.chain(contrib.normalize(), optax.sgd(0.05))),
    ),
    "labels by place": (
        AS_IT_IS,  # the readout is a stack of its own
        optax.multi_transform(
            {"hidden": optax.adam(0.1), "readout": optax.sgd(0.2)}, readout_or_hidden
        ),
    ),
    "one layer frozen": (
        BY_LIST,
        optax.multi_transform(
            {"free": optax.adam(0.1), "frozen": optax.set_to_zero()}, second_layer
        ),
    ),
    "novograd": (BY_LIST, optax.novograd(0.01)),
    "noisy": (BY_LIST, optax.noisy_sgd(0.1, key=jax.random.key(0))),
    "schedule free": (BY_LIST, contrib.schedule_free_adamw(0.01)),
    "prodigy": (BY_LIST, contrib.prodigy()),
    "every second step": (BY_LIST, optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation()),
    "while finite": (BY_LIST, optax.apply_if_finite(optax.adam(0.1), 3)),
    "a search": (BY_LIST, optax.lbfgs()),
}
TRANSFORMATIONS = NAMED | OTHERS


def objective(params):
    return jnp.mean((jnn.predict(params, X) - Y) ** 2)


def of_layers(pairs):
    return objective(jnn.from_layers(pairs))


def three_steps(rule, params, objective):
    """By optax alone."""
    searches = optax.with_extra_args_support(rule)

    @partial(jax.jit, static_argnames="informed")
    def step(params, state, informed):
        value, gradient = jax.value_and_grad(objective)(params)
        extra = {"value": value, "grad": gradient, "value_fn": objective} if informed else {}
        updates, state = searches.update(gradient, state, params, **extra)
        return optax.apply_updates(params, updates), state

    def three(informed):
        found, state = params, rule.init(params)
        for _ in range(3):
            found, state = step(found, state, informed)
        return found

    try:
        return three(informed=True)
    except TypeError:  # it takes no such arguments
        return three(informed=False)


@pytest.mark.parametrize(
    "params",
    [DEEP, pytest.param(TAPERED, marks=pytest.mark.slow)],
    ids=["deep", "tapered"],
)
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_optimizer_does_on_a_network_what_it_does_on_the_list_of_layers(name, params):
    _, rule = TRANSFORMATIONS[name]
    right = three_steps(rule, jnn.layers(params), of_layers)
    result = jnn.fit(
        params, (X, Y), loss="mse", optimizer=rule, batch_size=4, epochs=3, progress=False
    )
    assert oracles.apart(jnn.layers(result.params), right) < APART


@pytest.mark.parametrize("name", [name for name in NAMED if name != "adadelta"] + ["lamb"])
def test_so_do_the_named_ones(name):
    rule = jnn.OPTIMIZERS[name].make(0.01)
    right = three_steps(rule, jnn.layers(DEEP), of_layers)
    run = partial(jnn.fit, DEEP, (X, Y), loss="mse", batch_size=4, epochs=3, progress=False)
    result = run(optimizer=name, learning_rate=0.01)
    assert oracles.apart(jnn.layers(result.params), right) < APART


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_the_way_is_the_first_that_is_right(name, monkeypatch):
    """Otherwise deep networks are compiled for minutes."""
    way, rule = TRANSFORMATIONS[name]
    taken = [AS_IT_IS]
    monkeypatch.setattr(layers, "_by_stack", lambda rule, _: taken.append(BY_STACK) or rule)
    monkeypatch.setattr(layers, "_by_list", lambda rule, _: taken.append(BY_LIST) or rule)
    layers._on_layers.__wrapped__(rule, _layout(DEEP))
    assert taken[-1] == way


def _layout(params):
    stacks = tuple((*stack.w.shape, stack.activation, stack.residual) for stack in params)
    return layers.Layout(stacks, np.dtype("float32"))


def test_a_mask_that_is_a_tree_like_the_parameters_is_taken():
    mask = jax.tree.map(lambda a: a.ndim == 3, DEEP)
    rule = optax.chain(optax.set_to_zero(), optax.add_decayed_weights(-0.1, mask=mask))
    result = jnn.fit(DEEP, (X, Y), optimizer=rule, epochs=1, batch_size=4)
    for (w, b), (w0, b0) in zip(jnn.layers(result.params), jnn.layers(DEEP), strict=True):
        np.testing.assert_allclose(w, 0.9 * w0, rtol=1e-6)
        np.testing.assert_array_equal(b, b0)


def test_updates_of_a_deep_network_are_one_program_of_the_same_length():
    """Clipping, moments and trust ratios: no operation for each layer."""

    def length(depth, optimizer):
        params = jax.eval_shape(lambda: oracles.network([3, *[4] * depth, 2]))
        rule = on_layers(optimizer, params)
        state = jax.eval_shape(rule.init, params)
        return len(jax.make_jaxpr(rule.update)(params, state, params).eqns)

    for optimizer in (
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
        optax.lamb(0.1),
    ):
        assert length(60, optimizer) == length(5, optimizer)


# ---- what cannot be taken ----


def returns(change):
    """A transformation whose updates are changed."""
    return optax.GradientTransformation(lambda _: (), lambda g, state, _: (change(g), state))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (optax.lookahead(optax.adam(0.1), 5, 0.5), "give its inner optimizer"),
        (returns(lambda g: g[0]), "updates of another tree"),
        (returns(lambda g: jax.tree.map(lambda a: a[None], g)), "updates of another shape"),
        (optax.sgd(lambda i: 0.1 if i < 3 else 0.01), "branches in Python"),
        (optax.sgd(lambda i: jnp.array([0.1, 0.2, 0.3])), "another shape|incompatible shapes"),
        (
            optax.GradientTransformation(lambda _: 0, lambda g, n, _: (g, 1.5 * n)),
            "a state of another shape or type",
        ),
    ],
    ids=["lookahead", "one layer", "an axis more", "branches", "a vector", "a state"],
)
def test_an_optimizer_that_cannot_update_the_network_is_named_before_the_run(
    rule, message, nothing_runs
):
    with pytest.raises(ValueError, match=message) as refused:
        jnn.fit(DEEP, (X, Y), optimizer=rule, epochs=1)
    assert len(str(refused.value)) < 2000


def test_the_inner_optimizer_of_lookahead_can_be_taken():
    assert jnn.fit(DEEP, (X, Y), optimizer=optax.adam(0.1), epochs=1).epochs == 1


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (lambda i: 0.1 if i < 3 else 0.01, TypeError, "needs to know its step in Python"),
        (lambda i: jnp.array([0.1, 0.2]), ValueError, r"returns float32 of shape \(2,\)"),
        (lambda: 0.1, TypeError, "could not be called with the number of a step"),
        (lambda i: None, TypeError, "could not be called|must return one number"),
    ],
)
def test_a_schedule_that_gives_no_number_is_named(schedule, error, message, nothing_runs):
    with pytest.raises(error, match=message):
        jnn.fit(DEEP, (X, Y), optimizer="sgd", learning_rate=schedule, epochs=1)


def test_the_schedules_that_the_messages_name_can_be_taken():
    for schedule in (lambda i: jnp.where(i < 3, 0.1, 0.01), optax.constant_schedule(0.1)):
        run = partial(jnn.fit, DEEP, (X, Y), epochs=1)
        assert run(optimizer="sgd", learning_rate=schedule).stopped == "epochs"
        assert run(optimizer=optax.sgd(schedule)).stopped == "epochs"


# ---- states, handed out and taken up ----


GOES_ON = {name: name for name in ("adam", "momentum", "lamb", "lbfgs", "bfgs", "adagrad")}
GOES_ON |= {"levenberg_marquardt": "levenberg_marquardt", "optax.adam": optax.adam(0.01)}
GOES_ON |= {name: OTHERS[name][1] for name in ("muon", "schedule free", "one layer frozen")}


@pytest.mark.parametrize("optimizer", GOES_ON.values(), ids=GOES_ON)
def test_a_run_goes_on_from_the_state_of_another(optimizer):
    run = partial(jnn.fit, data=(X, Y), optimizer=optimizer, batch_size=4, progress=False)
    whole = run(DEEP, epochs=6)
    half = run(DEEP, epochs=3)
    rest = run(half.params, epochs=3, optimizer_state=half.optimizer_state)
    assert oracles.apart(rest.params, whole.params) == 0
    anew = run(half.params, epochs=3)
    if optimizer != "levenberg_marquardt":  # whose damping may be the same
        assert oracles.apart(anew.params, whole.params) > 0


def test_a_schedule_goes_on_too():
    schedule = optax.linear_schedule(0.1, 0.0, 6)
    run = partial(
        jnn.fit, data=(X, Y), optimizer="adam", learning_rate=schedule, batch_size=4, progress=False
    )
    half = run(DEEP, epochs=3)
    rest = run(half.params, epochs=3, optimizer_state=half.optimizer_state)
    assert oracles.apart(rest.params, run(DEEP, epochs=6).params) == 0


def test_a_state_lies_as_the_parameters_do():
    result = jnn.fit(DEEP, (X, Y), optimizer="adam", epochs=2, batch_size=4)
    mean = optax.tree.get(result.optimizer_state, "mu")
    assert jax.tree.structure(mean) == jax.tree.structure(DEEP)
    rule = contrib.schedule_free_adamw(0.1)
    result = jnn.fit(DEEP, (X, Y), optimizer=rule, epochs=5, batch_size=4)
    averaged = contrib.schedule_free_eval_params(result.optimizer_state, result.params)
    assert jnn.predict(averaged, X).shape == Y.shape
    assert oracles.apart(averaged, result.params) > 0


@pytest.mark.parametrize("other", ["of another optimizer", "of another network", "no state"])
def test_a_state_of_something_else_is_refused(other, nothing_runs):
    state = {
        "of another optimizer": optax.sgd(0.1, momentum=0.9).init(DEEP),
        "of another network": optax.adam(1.0).init(TAPERED),
        "no state": 3,
    }[other]
    with pytest.raises(ValueError, match="optimizer_state is not of this optimizer and network"):
        jnn.fit(DEEP, (X, Y), optimizer="adam", epochs=1, optimizer_state=state)
