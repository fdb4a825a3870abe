// What theory predicts of wide networks, as in jnn/theory/mean_field.
//
//   V(q) = σ_w² E[h(u)²] + σ_b²,   χ₁ = σ_w² E[h'(u)²] at u ~ N(0, q*),   q* = V(q*)
"use strict";

explorer.meanField = (() => {
  const { moments, product } = explorer.gaussian;
  const LEAST = 1e-30, MOST = 1e30;
  const within = (q) => Math.min(Math.max(q, LEAST), MOST);

  // The root of f, which changes its sign once, between two logarithms
  function root(f, low, high) {
    const sign = Math.sign(f(Math.exp(low)));
    for (let step = 0; step < 60; step++) {
      const middle = (low + high) / 2;
      if (Math.sign(f(Math.exp(middle))) === sign) low = middle;
      else high = middle;
    }
    return Math.exp((low + high) / 2);
  }

  // q* from lengths of 1. V(q)/q falls for each of the five activations: there is one at most
  function length(activation, w2, b2) {
    const gap = (q) => (w2 * moments(activation, q).value2 + b2) / q - 1;
    const here = gap(1);
    if (Math.abs(here) < 1e-14) return 1; // relu on its critical point keeps every length
    if (here > 0) return gap(MOST) > -1e-13 ? Infinity : root(gap, 0, Math.log(MOST));
    return gap(LEAST) < 1e-13 ? 0 : root(gap, Math.log(LEAST), 0);
  }

  function limits(activation, w2, b2) {
    const q = length(activation, w2, b2);
    return { q, chi1: w2 * moments(activation, within(q)).slope2 };
  }

  // A point of the critical line is given by its length: σ_w² = 1/E[h'²], σ_b² = q − E[h²]/E[h'²]
  function onLine(activation, q) {
    const at = moments(activation, q);
    return { w2: 1 / at.slope2, b2: q - at.value2 / at.slope2 };
  }

  // σ_w² of the critical line over a σ_b²; NaN where there is none
  function critical(activation, b2) {
    if (activation === "relu" || activation === "identity") {
      return b2 === 0 ? 1 / moments(activation, 1).slope2 : NaN;
    }
    const gap = (q) => onLine(activation, q).b2 - b2;
    if (b2 === 0 && activation !== "sigmoid") return 1 / moments(activation, LEAST).slope2;
    return onLine(activation, root(gap, Math.log(1e-12), Math.log(1e6))).w2;
  }

  // The line in a picture that ends at `w2` and `b2`
  function criticalLine(activation, w2, b2) {
    const points = [];
    if (activation === "relu" || activation === "identity") {
      const at = critical(activation, 0);
      return { w2: [at], b2: [0] };
    }
    for (let k = 0; k <= 80; k++) points.push(onLine(activation, 10 ** (-5 + (k / 80) * 6.5)));
    const seen = points.filter((p) => p.b2 >= 0 && p.w2 <= 1.2 * w2 && p.b2 <= 1.2 * b2);
    return { w2: seen.map((p) => p.w2), b2: seen.map((p) => p.b2) };
  }

  // log₁₀ χ₁ over a plane, rows by σ_b². Every length q is q* along the straight line
  // σ_b² = q − σ_w² E[h²], so that no root is looked for
  function diagram(activation, w2s, b2s) {
    const table = [];
    for (let k = 0; k <= 300; k++) {
      const q = 10 ** (-8 + (k / 300) * 14), at = moments(activation, q);
      table.push({ q, value2: at.value2, slope2: at.slope2 });
    }
    const columns = w2s.map((w2) => {
      const reached = table.map((row) => row.q - w2 * row.value2);
      return b2s.map((b2) => {
        let k = reached.findIndex((b, i) => b >= b2 && reached[Math.max(i - 1, 0)] <= b2);
        if (k < 0) k = reached[0] > b2 ? 0 : table.length - 1;
        if (k === 0) return w2 * table[0].slope2;
        const span = reached[k] - reached[k - 1];
        const part = Math.min(1, Math.max(0, span > 0 ? (b2 - reached[k - 1]) / span : 1));
        return w2 * (table[k - 1].slope2 + part * (table[k].slope2 - table[k - 1].slope2));
      });
    });
    return b2s.map((_, row) => columns.map((column) => Math.log10(column[row])));
  }

  // q of every layer and ½ ln χ, what the layer does to ln ‖λ‖ on the way back through it
  function signals(depth, activation, w2, b2, residual, start) {
    let [m, mean] = start, before = -1, at = null;
    const q = new Float64Array(depth), logGradient = new Float64Array(depth);
    for (let l = 0; l < depth; l++) {
      q[l] = within(w2 * m + b2);
      if (q[l] !== before) at = moments(activation, q[l]);
      before = q[l];
      logGradient[l] = 0.5 * Math.log(w2 * at.slope2 + (residual ? 1 : 0));
      m = residual ? at.value2 + m + 2 * at.mean * mean : at.value2;
      mean = residual ? at.mean + mean : at.mean;
    }
    return { q, logGradient };
  }

  // The correlation of zₗ for two inputs of one entry each
  function correlations(depth, activation, w2, b2, x, y, residual) {
    let states = [x * x, y * y, x * y], means = [x, y];
    const c = new Float64Array(depth);
    for (let l = 0; l < depth; l++) {
      const [p, q, K] = states.map((m) => w2 * m + b2);
      c[l] = K / Math.sqrt(p * q);
      const a = moments(activation, within(p)), b = moments(activation, within(q));
      const next = [a.value2, b.value2, product(activation, p, q, K)];
      if (residual) {
        next[0] += states[0] + 2 * a.mean * means[0];
        next[1] += states[1] + 2 * b.mean * means[1];
        next[2] += states[2] + a.mean * means[1] + b.mean * means[0];
        means = [means[0] + a.mean, means[1] + b.mean];
      }
      states = next;
      const same = states.every((m, i) => Math.abs(w2 * m + b2 - [p, q, K][i]) <= 1e-13 * p);
      if (same && !residual) return c.fill(c[l], l);
    }
    return c;
  }

  return { length, limits, critical, criticalLine, diagram, signals, correlations };
})();
