"""What the page computes, against jnn: theory, diagnostics, fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import diagnostics
from jnn.theory import gaussian, mean_field

pytestmark = pytest.mark.usefixtures("x64")

ACTIVATIONS = ("tanh", "sigmoid", "relu", "erf", "identity")
X = np.linspace(-1, 1, 16)[:, None]


def settings(number, seed, depths=(2, 200), widths=(1, 32)):
    """Random settings of the page; every fifth on an edge of a range."""
    random = np.random.default_rng(seed)
    for k in range(number):
        edge = k % 5 == 4
        yield {
            "activation": ACTIVATIONS[k % 5 if k % 2 else random.integers(5)],
            "weights": ("gaussian", "orthogonal")[random.integers(2)],
            "residual": bool(random.integers(2)),
            "depth": int(random.integers(*depths, endpoint=True)),
            "width": int(random.integers(*widths, endpoint=True)),
            "w2": float(random.choice([0.05, 5.0]) if edge else random.integers(50, 5001) / 1000),
            "b2": float(0.0 if edge else random.integers(1001) / 1000),
            "draw": int(random.integers(1000)),
        }


# ---- theory ----


def test_fixed_points_and_critical_line_are_those_of_theory(shared_page):
    given = list(settings(200, seed=0))
    found = shared_page.evaluate(
        """all => all.map(({activation, w2, b2}) => {
            const {q, chi1} = explorer.meanField.limits(activation, w2, b2);
            return [q, chi1, explorer.meanField.critical(activation, b2)].map(String);
        })""",
        given,
    )
    for s, row in zip(given, found, strict=True):
        limits = mean_field.limits(s["activation"], sigma_w2=s["w2"], sigma_b2=s["b2"])
        try:
            line = mean_field.critical(s["b2"], s["activation"]).sigma_w2
        except ValueError:
            line = np.nan
        found_here = np.array([float(number.replace("Infinity", "inf")) for number in row])
        np.testing.assert_allclose(
            found_here, [limits.q, limits.chi_1, line], rtol=1e-9, atol=1e-9, err_msg=str(s)
        )


def test_predicted_gradients_are_those_of_theory(shared_page):
    given = list(settings(200, seed=1))
    found = shared_page.evaluate(
        """all => all.map(({depth, activation, w2, b2, residual}) => {
            const signals = explorer.meanField.signals(
                depth, activation, w2, b2, residual, [17 / 45, 0]);
            return Array.from(signals.logGradient);
        })""",
        given,
    )
    for s, row in zip(given, found, strict=True):
        expected = mean_field.signals(
            s["depth"],
            s["activation"],
            sigma_w2=s["w2"],
            sigma_b2=s["b2"],
            start=(17 / 45, 0.0),
            residual=s["residual"],
        ).log_gradient
        np.testing.assert_allclose(row, expected, atol=1e-6, rtol=0, err_msg=str(s))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_products_of_two_gaussians(shared_page, activation):
    rows = [(p, q, c * (p * q) ** 0.5) for p in (0.1, 1, 4) for q in (0.3, 2) for c in (-0.9, 0, 1)]
    found = shared_page.evaluate(
        "([name, rows]) => rows.map(row => explorer.gaussian.product(name, ...row))",
        [activation, rows],
    )
    expected = gaussian.products(activation)(*np.array(rows).T)[0]
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_correlations_are_predicted_as_theory_does(shared_page):
    """From one input and itself turned round, which have one length."""
    given = [s for s in settings(40, seed=2, depths=(2, 12)) if s["b2"] > 0][:15]
    found = shared_page.evaluate(
        """all => all.map(({depth, activation, w2, b2}) => Array.from(
            explorer.meanField.correlations(depth, activation, w2, b2, 1, -1, false)))""",
        given,
    )
    for s, row in zip(given, found, strict=True):
        w2, b2 = s["w2"], s["b2"]
        _, expected = mean_field.through_depth(
            s["depth"] - 1, s["activation"], sigma_w2=w2, sigma_b2=b2, q=w2 + b2,
            c=(b2 - w2) / (w2 + b2),
        )  # fmt: skip
        np.testing.assert_allclose(row, expected, atol=1e-6, err_msg=str(s))


# ---- networks ----


@pytest.fixture(scope="module")
def networks(shared_page):
    """Twenty networks as the page holds them and shows them: (settings, what is shown)."""
    rows = []
    for s in settings(20, seed=3, depths=(2, 60), widths=(1, 12)):
        drawn = shared_page.evaluate(
            """s => new Promise(done => {
                explorer.set(s);
                requestAnimationFrame(() => {
                    const {logStates, logBiases, diagnosis, map} = explorer.shown();
                    const text = values => Array.from(values, String);
                    done({
                        weights: explorer.weights(), logStates: text(logStates),
                        logBiases: text(logBiases), diagnosis,
                        layers: map.layers, map: map.logNorms.map(text),
                        correlations: explorer.network.correlations(
                            explorer.network.draw(s), 1, -0.5),
                    });
                });
            })""",
            s,
        )
        rows.append((s, drawn))
    return rows


def params(s, weights):
    layers = [(np.array(layer["w"]), np.array(layer["b"])) for layer in weights]
    return jnn.from_layers(layers, activation=s["activation"], residual=s["residual"])


def numbers(texts):
    return np.array([float(text.replace("Infinity", "inf")) for text in texts])


def test_gradients_of_every_layer_are_as_measured_by_jnn(networks):
    for s, drawn in networks:
        network = params(s, drawn["weights"])
        norms = diagnostics.gradient_norms(network, X, np.sin(3 * X))
        found = numbers(drawn["logStates"])
        np.testing.assert_allclose(found, norms.log_states, rtol=1e-9, atol=1e-9, err_msg=str(s))
        # the biases' as parts of the states': where b = 0, an odd network's are sums of rounding
        parts = np.exp(numbers(drawn["logBiases"]) - found)
        expected = np.exp(norms.log_biases - norms.log_states)
        np.testing.assert_allclose(parts, expected, atol=1e-9, err_msg=str(s))


def test_blocks_of_the_inverse_are_as_measured_by_jnn(networks):
    for s, drawn in networks:
        network = params(s, drawn["weights"])
        expected = diagnostics.sensitivity_map(network, [1.0], points=40)
        assert drawn["layers"] == expected.layers.tolist()
        found = np.array([numbers(row) for row in drawn["map"]])
        np.testing.assert_allclose(found, expected.log_norms, rtol=1e-9, atol=1e-9, err_msg=str(s))


def test_correlations_of_two_inputs_are_as_measured_by_jnn(networks):
    for s, drawn in networks:
        network = params(s, drawn["weights"])
        expected = 1 - diagnostics.correlations(network, [1.0], [-0.5])
        np.testing.assert_allclose(drawn["correlations"], expected, atol=1e-9, err_msg=str(s))


def test_the_verdict_is_that_of_diagnose(networks):
    """Word for word, but for the law of the prediction and what is said of float32."""
    for s, drawn in networks[::3]:
        network = params(s, drawn["weights"])
        lines = str(jnn.diagnose(network, X, np.sin(3 * X))).splitlines()
        found = drawn["diagnosis"]
        if "leave the range of float32" in found["summary"]:
            continue
        assert f"{found['verdict']}: {found['summary']}" == lines[0], s
        expected = {line[2:12].strip(): line[13:] for line in lines[1:] if line[2] != " "}
        told = dict(found["lines"])
        if s["activation"] in ("relu", "identity", "sigmoid"):  # other slopes reach 0 by rounding
            assert told["units"] == expected["units"], s
        if "gradient" in told:
            assert told["gradient"].split(",")[0] == expected["gradient"].split(",")[0], s


def test_the_end_of_float32_is_named(shared_page):
    """Against the same network in float32, by jnn: the lecture's end of floats."""
    found = shared_page.evaluate(
        """() => new Promise(done => {
            explorer.set(explorer.settings.PRESETS.end.settings);
            requestAnimationFrame(() => done([
                explorer.state(), explorer.weights(), explorer.shown().diagnosis.lines]));
        })"""
    )
    s, weights, lines = found
    with jax.enable_x64(False):
        layers = [(np.float32(layer["w"]), np.float32(layer["b"])) for layer in weights]
        network = jnn.from_layers(layers, activation=s["activation"])
        said = str(jnn.diagnose(network, np.float32(X), np.float32(np.sin(3 * X))))
    told = [text for name, text in lines if name == "float32"]
    assert len(told) == 2
    for text in told:
        assert text in said


def test_the_dice_stay_on_the_table(shared_page):
    """Moving a variance scales the noise; a wider or deeper network keeps what there was."""
    weights = """s => explorer.network.draw({...explorer.settings.START, ...s}).layers
        .map(({w, b, rows, columns}) => ({w: Array.from(w), b: Array.from(b), rows, columns}))"""
    start, scaled, wider, deeper = (
        shared_page.evaluate(weights, {"depth": 5, "width": 4, **s})
        for s in ({"w2": 1.0}, {"w2": 4.0}, {"w2": 1.0, "width": 6}, {"w2": 1.0, "depth": 8})
    )

    def matrix(layer):
        return np.array(layer["w"]).reshape(layer["rows"], layer["columns"])

    for l in range(5):
        np.testing.assert_allclose(2 * matrix(start[l]), matrix(scaled[l]), rtol=1e-15)
        assert start[l] == deeper[l]
    inner = matrix(wider[2])[:4, :4] * 6**0.5
    np.testing.assert_allclose(inner, matrix(start[2]) * 4**0.5, rtol=1e-14)


def test_noise_is_standard_normal_and_orthogonal_weights_are_orthogonal(shared_page):
    s = {"depth": 30, "width": 32, "w2": 1.0, "b2": 1.0, "activation": "tanh", "draw": 3}
    draw = """s => explorer.network.draw(s).layers.slice(1, -1).map(
        ({w, b}) => [Array.from(w), Array.from(b)])"""
    layers = shared_page.evaluate(draw, {**s, "weights": "gaussian", "residual": False})
    w = np.concatenate([w for w, _ in layers]) * 32**0.5
    n = len(w)
    assert abs(w.mean()) < 4 / n**0.5
    assert abs((w**2).mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs((w**4).mean() - 3) < 4 * (96 / n) ** 0.5
    layers = shared_page.evaluate(draw, {**s, "weights": "orthogonal", "residual": False})
    for w, _ in layers[::10]:
        Q = np.reshape(w, (32, 32))
        np.testing.assert_allclose(Q.T @ Q, np.eye(32), atol=1e-14)


# ---- training ----


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 3, "width": 8},
        {"depth": 12, "width": 5, "weights": "orthogonal", "activation": "erf"},
        {"depth": 6, "width": 4, "residual": True, "activation": "sigmoid", "w2": 0.5},
    ],
    ids=["tanh", "orthogonal erf", "residual sigmoid"],
)
def test_training_is_that_of_fit(shared_page, changes):
    s = {**shared_page.evaluate("explorer.settings.START"), **changes}
    weights, losses, rate = shared_page.evaluate(
        """s => {
            const network = explorer.network.draw(s);
            const weights = network.layers.map(({w, b, columns}) => ({
                w: Array.from(b, (_, i) => Array.from(w.slice(i * columns, (i + 1) * columns))),
                b: Array.from(b)}));
            const step = explorer.network.adam(network);
            const losses = Array.from({length: 50}, step);
            return [weights, losses, explorer.network.LEARNING_RATE];
        }""",
        s,
    )
    fitted = jnn.fit(params(s, weights), (X, jnp.sin(3 * X)), learning_rate=rate, epochs=50)
    np.testing.assert_allclose(losses, fitted.history["loss"], rtol=1e-6)
    assert losses[-1] < losses[0]
