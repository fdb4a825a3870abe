// Activations, and their expectations over Gaussians, as in jnn/theory/gaussian.py.
//
//   E[h(u)²], E[h'(u)²], E[h(u)] at u ~ N(0, q);  E[h(u) h(v)] of two
"use strict";
window.explorer = {}; // it takes the name from the element with this id

explorer.gaussian = (() => {
  const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

  // erf x = 2/√π e^(−x²) Σ 2ᵏ x^(2k+1)/(2k+1)!!, whose terms are all of one sign: no digit is lost
  function erf(x) {
    if (Math.abs(x) > 6) return Math.sign(x);
    let term = x, sum = x;
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
      term *= (2 * x * x) / (2 * k + 1);
      sum += term;
    }
    return TWO_OVER_SQRT_PI * Math.exp(-x * x) * sum;
  }

  const sigmoid = (z) => 1 / (1 + Math.exp(-z));

  // h(z), h' from z and h(z), and the largest slope
  const ACTIVATIONS = {
    tanh: { value: Math.tanh, slope: (z, x) => 1 - x * x, largest: 1 },
    sigmoid: { value: sigmoid, slope: (z, x) => x * (1 - x), largest: 0.25 },
    relu: { value: (z) => (z > 0 ? z : 0), slope: (z) => (z > 0 ? 1 : 0), largest: 1 },
    erf: {
      value: erf,
      slope: (z) => TWO_OVER_SQRT_PI * Math.exp(-z * z),
      largest: TWO_OVER_SQRT_PI,
    },
    identity: { value: (z) => z, slope: () => 1, largest: 1 },
  };

  // Gauss–Legendre nodes and weights on [−1, 1], by Newton's method on the polynomial
  function legendre(n) {
    const nodes = [], weights = [];
    for (let i = 0; i < n; i++) {
      let t = -Math.cos((Math.PI * (i + 0.75)) / (n + 0.5)), slope = 1;
      for (let step = 0; step < 20; step++) {
        let before = 1, here = t;
        for (let k = 2; k <= n; k++) {
          [before, here] = [here, ((2 * k - 1) * t * here - (k - 1) * before) / k];
        }
        slope = (n * (t * here - before)) / (t * t - 1);
        const change = here / slope;
        t -= change;
        if (Math.abs(change) < 1e-16) break;
      }
      nodes.push(t);
      weights.push(2 / ((1 - t * t) * slope * slope));
    }
    return { nodes, weights };
  }

  // Nodes z > 0 and weights of E f(z), z ~ N(0, 1): panels that shrink towards 0, where steep
  // activations turn; beyond 9 there is 3e-18
  const LINE = (() => {
    const END = 9, edges = [0];
    for (let k = 20; k > 2; k--) edges.push(END * 0.25 ** k);
    for (let k = 1; k <= 24; k++) edges.push((END * k) / 24);
    const { nodes, weights } = legendre(16);
    const z = [], density = [];
    for (let i = 0; i + 1 < edges.length; i++) {
      const half = (edges[i + 1] - edges[i]) / 2;
      nodes.forEach((t, k) => {
        const at = edges[i] + half * (1 + t);
        z.push(at);
        density.push((half * weights[k] * Math.exp((-at * at) / 2)) / Math.sqrt(2 * Math.PI));
      });
    }
    return { z: Float64Array.from(z), density: Float64Array.from(density) };
  })();

  // E[h²], E[h'²], E[h] and dE[h²]/dq at u ~ N(0, q)
  function moments(name, q) {
    const { value, slope } = ACTIVATIONS[name];
    const root = Math.sqrt(Math.max(q, 1e-200));
    let value2 = 0, slope2 = 0, mean = 0, growth = 0;
    for (let i = 0; i < LINE.z.length; i++) {
      const u = root * LINE.z[i], p = LINE.density[i];
      const x = value(u), y = value(-u), a = slope(u, x), b = slope(-u, y);
      value2 += p * (x * x + y * y);
      slope2 += p * (a * a + b * b);
      mean += p * (x + y);
      growth += p * LINE.z[i] * (x * a - y * b);
    }
    return { value2, slope2, mean, growth: growth / root };
  }

  // Nodes and weights for two independent Gaussians: the trapezium rule, which converges faster
  // than any power for smooth functions that fade away
  const GRID = (() => {
    const z = [], weight = [], step = 0.25;
    for (let t = -7; t <= 7; t += step) {
      z.push(t);
      weight.push((step * Math.exp((-t * t) / 2)) / Math.sqrt(2 * Math.PI));
    }
    return { z, weight };
  })();

  const angle = (p, q, K) => Math.acos(Math.min(1, Math.max(-1, p * q > 0 ? K / Math.sqrt(p * q) : 1)));

  // E[h(u) h(v)] of Gaussians u, v of variances p, q and covariance K
  const CLOSED = {
    identity: (p, q, K) => K,
    relu: (p, q, K) => {
      const t = angle(p, q, K);
      return (Math.sqrt(p * q) * (Math.sin(t) + (Math.PI - t) * Math.cos(t))) / (2 * Math.PI);
    },
    erf: (p, q, K) => (2 / Math.PI) * Math.asin((2 * K) / Math.sqrt((1 + 2 * p) * (1 + 2 * q))),
  };

  function product(name, p, q, K) {
    if (name in CLOSED) return CLOSED[name](p, q, K);
    const { value } = ACTIVATIONS[name];
    const t = angle(p, q, K), along = Math.sqrt(q) * Math.cos(t), across = Math.sqrt(q) * Math.sin(t);
    let total = 0;
    for (let i = 0; i < GRID.z.length; i++) {
      let inner = 0;
      for (let j = 0; j < GRID.z.length; j++) {
        inner += GRID.weight[j] * value(along * GRID.z[i] + across * GRID.z[j]);
      }
      total += GRID.weight[i] * value(Math.sqrt(p) * GRID.z[i]) * inner;
    }
    return total;
  }

  return { ACTIVATIONS, erf, moments, product };
})();
