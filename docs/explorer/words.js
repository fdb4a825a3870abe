// The verdict in the words of jnn.diagnose (jnn/diagnostics/verdict.py), and the network in Python.
"use strict";

explorer.words = (() => {
  const { ACTIVATIONS } = explorer.gaussian;
  const LN10 = Math.log(10), HEALTHY = Math.log(1e3);
  const LEAST = 2 ** -126, MOST = 3.4028234663852886e38; // of float32's normal numbers

  // ---- numbers ----

  // as %.3g and %.4g of Python write them
  function digits(value, count) {
    if (value === 0) return "0";
    const [mantissa, exponent] = value.toExponential(count - 1).split("e");
    if (exponent < -4 || exponent >= count) {
      const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
      return `${short}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    }
    return String(Number(value.toPrecision(count)));
  }

  function power(log) {
    if (log === -Infinity) return "0";
    if (Math.abs(log) < 3 * LN10) return digits(Math.exp(log), 3);
    return `10^${(log / LN10).toFixed(1)}`.replace("-", "−");
  }

  function span(layers) {
    const first = layers[0], last = layers[layers.length - 1];
    if (layers.length > 1 && last - first + 1 === layers.length) return `${first}–${last}`;
    return layers.slice(0, 6).join(", ");
  }

  // ---- what the network does ----

  // Units whose slope is 0 on all rows, those that are constant, and the share of small slopes
  function units(network, done) {
    const n = done.n, largest = ACTIVATIONS[network.activation].largest;
    const found = { dead: 0, constant: 0, saturated: 0, units: 0, deadByLayer: [] };
    for (let l = 0; l + 1 < network.layers.length; l++) {
      const d = done.slopes[l], x = done.states[l + 1], rows = network.layers[l].rows;
      let dead = 0, small = 0;
      for (let i = 0; i < rows; i++) {
        let all = true, low = Infinity, high = -Infinity;
        for (let k = i * n; k < (i + 1) * n; k++) {
          if (d[k] !== 0) all = false;
          if (Math.abs(d[k]) < 0.01 * largest) small += 1;
          low = Math.min(low, x[k]);
          high = Math.max(high, x[k]);
        }
        dead += all;
        found.constant += high - low <= 8 * 2 ** -52 * Math.max(Math.abs(low), Math.abs(high));
      }
      found.dead += dead;
      found.units += rows;
      found.saturated += small / (rows * n) / (network.layers.length - 1);
      found.deadByLayer.push(dead === rows);
    }
    return found;
  }

  // What a layer on the way back adds to the logarithm: the slope of a line through those that are
  // finite
  function slope(logs) {
    const at = [], values = [];
    logs.forEach((value, l) => {
      if (Number.isFinite(value)) at.push(l), values.push(value);
    });
    if (at.length < 2) return 0;
    const mean = (a) => a.reduce((sum, v) => sum + v, 0) / a.length;
    const m = mean(at), v = mean(values);
    const up = at.reduce((sum, l, i) => sum + (l - m) * (values[i] - v), 0);
    return -up / at.reduce((sum, l) => sum + (l - m) ** 2, 0);
  }

  function diagnose(network, done, gradients, predictedRate) {
    const hidden = Array.from(gradients.logStates.slice(0, -1)), H = hidden.length;
    const found = units(network, done), rate = slope(hidden);
    const ends = Number.isFinite(hidden[0]) && Number.isFinite(hidden[H - 1]);
    const ratio = ends ? hidden[0] - hidden[H - 1] : -Infinity;
    const overflow = 1 + done.states.slice(1).findIndex((x) => x.some((a) => !(Math.abs(a) <= MOST)));
    let blocked = 0;
    if (!overflow && hidden.includes(-Infinity)) {
      blocked = 1 + found.deadByLayer.indexOf(true) || hidden.lastIndexOf(-Infinity) + 2;
    }
    let verdict = "healthy";
    if (overflow) verdict = "exploding";
    else if (blocked) verdict = "dead";
    else if (ratio < -HEALTHY) verdict = "vanishing";
    else if (ratio > HEALTHY) verdict = "exploding";
    const lines = [];
    if (!blocked && !overflow) {
      lines.push(["gradient", `× ${digits(Math.exp(rate), 4)} a layer on the way back, predicted ` +
        `× ${digits(Math.exp(predictedRate), 4)} (mean field of wide layers)`]);
    }
    if (verdict === "vanishing") {
      const zeros = [];
      gradients.logBiases.forEach((log, l) => {
        if (log < Math.log(LEAST) - 1e-9) zeros.push(l + 1);
      });
      if (zeros.length) {
        lines.push(["float32", `∂ℓ/∂b is exactly 0 in ${zeros.length} of ` +
          `${gradients.logBiases.length} layers (${span(zeros)}): no step can change them`]);
      }
      const last = Math.floor((Math.log(LEAST) / rate) * (1 + 1e-14));
      if (rate < 0) {
        lines.push(["float32", `at this rate gradients end ${last} layers below the output`]);
      }
    }
    lines.push(["units", `${found.dead} of ${found.units} dead, ${found.constant} constant, ` +
      `${Math.round(100 * found.saturated)}% of slopes saturated`]);
    return { verdict, summary: summary(verdict, ratio, blocked, overflow), lines };
  }

  function summary(verdict, ratio, blocked, overflow) {
    if (blocked) {
      return `no gradient passes layer ${blocked}, all of whose slopes are 0 on these examples`;
    }
    if (overflow) return `the states themselves leave the range of float32 at layer ${overflow}`;
    const fate = { vanishing: "shrinks to", exploding: "grows to", healthy: "is" }[verdict];
    return `the gradient at the first layer ${fate} ${power(ratio)} of that at the last hidden layer`;
  }

  // ---- the same in jnn ----

  function python(s) {
    const square = s.weights === "orthogonal";
    const sw = Number(Math.sqrt(s.w2).toFixed(6)), sb = Number(Math.sqrt(s.b2).toFixed(6));
    const unit = "w / w.shape[1] ** 0.5";
    const weights = square
      ? `(jnp.linalg.qr(w)[0] if w.shape[0] == w.shape[1] else ${unit})` : unit;
    return [
      "import jax, jax.numpy as jnp, jnn",
      `units = jnn.init_network_params(\n    [1] + [${s.width}] * ${s.depth} + [1], ` +
        `jax.random.key(${s.draw}), init="normal"\n)`,
      `layers = [\n    (${sw} * ${weights}, ${sb} * b)\n    for w, b in jnn.layers(units)\n]`,
      `params = jnn.from_layers(layers, activation="${s.activation}", ` +
        `residual=${s.residual ? "True" : "False"})`,
      "x = jnp.linspace(-1, 1, 16)[:, None]",
      "print(jnn.diagnose(params, x, jnp.sin(3 * x)))",
    ].join("\n");
  }

  return { diagnose, python, digits, power };
})();
