// One network: its weights from unit noise, what it computes, its gradients, its training.
//
//   zₗ = Wₗ xₗ₋₁ + bₗ,  xₗ = h(zₗ) [+ xₗ₋₁],  x_N = z_N;  the rows of a batch stand in columns
"use strict";

explorer.network = (() => {
  const { ACTIVATIONS } = explorer.gaussian;

  // Training rows: sin(3x)
  const X = Float64Array.from({ length: 16 }, (_, i) => -1 + (2 * i) / 15);
  const Y = X.map((x) => Math.sin(3 * x));
  const LEARNING_RATE = 0.003;

  // ---- weights ----

  // Standard normal numbers of a stream of its own for every (draw, network, layer): mulberry32 and
  // the polar method of Marsaglia
  function normals(draw, network, layer) {
    let state = Math.imul(draw + 1, 0x9e3779b1) ^ Math.imul(network + 1, 0x85ebca77);
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) ^ Math.imul(layer + 1, 0xc2b2ae3d);
    function uniform() {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }
    let kept = null;
    return () => {
      if (kept !== null) {
        const second = kept;
        kept = null;
        return second;
      }
      for (;;) {
        const a = 2 * uniform() - 1, b = 2 * uniform() - 1, s = a * a + b * b;
        if (s > 0 && s < 1) {
          const scale = Math.sqrt((-2 * Math.log(s)) / s);
          kept = b * scale;
          return a * scale;
        }
      }
    };
  }

  // Unit noise of a layer, from its corner outwards: a wider network keeps the units that a narrower
  // one has
  function unitLayer(next, rows, columns) {
    const w = new Float64Array(rows * columns), b = new Float64Array(rows);
    for (let s = 0; s < Math.max(rows, columns); s++) {
      if (s < rows) for (let j = 0; j <= Math.min(s, columns - 1); j++) w[s * columns + j] = next();
      if (s < columns) for (let i = 0; i < Math.min(s, rows); i++) w[i * columns + s] = next();
      if (s < rows) b[s] = next();
    }
    return { w, b, rows, columns };
  }

  // Gram and Schmidt on the columns, twice for all digits: of Gaussians, evenly distributed
  function orthogonal(w, n) {
    const Q = Float64Array.from(w);
    for (let j = 0; j < n; j++) {
      for (let again = 0; again < 2; again++) {
        for (let k = 0; k < j; k++) {
          let dot = 0;
          for (let i = 0; i < n; i++) dot += Q[i * n + k] * Q[i * n + j];
          for (let i = 0; i < n; i++) Q[i * n + j] -= dot * Q[i * n + k];
        }
      }
      let square = 0;
      for (let i = 0; i < n; i++) square += Q[i * n + j] ** 2;
      for (let i = 0; i < n; i++) Q[i * n + j] /= Math.sqrt(square);
    }
    return Q;
  }

  // Dice that lie on the table: moving a variance scales them
  const dice = new Map();
  function unitLayers(s, network) {
    const key = [s.draw, network, s.depth, s.width, s.weights].join();
    if (dice.has(key)) return dice.get(key);
    const sizes = [1, ...Array(s.depth).fill(s.width), 1], layers = [];
    for (let l = 1; l < sizes.length; l++) {
      const layer = unitLayer(normals(s.draw, network, l), sizes[l], sizes[l - 1]);
      if (s.weights === "orthogonal" && layer.rows === layer.columns) {
        layer.w = orthogonal(layer.w, layer.rows);
      } else {
        layer.w = layer.w.map((a) => a / Math.sqrt(layer.columns));
      }
      layers.push(layer);
    }
    // of the hundred, as many as 60 MB hold
    if (network === 0 || s.depth * s.width * s.width * 100 < 8e6) {
      if (dice.size > 101) dice.clear();
      dice.set(key, layers);
    }
    return layers;
  }

  function draw(s, network = 0) {
    const sw = Math.sqrt(s.w2), sb = Math.sqrt(s.b2);
    const layers = unitLayers(s, network).map(({ w, b, rows, columns }) => ({
      w: w.map((a) => sw * a), b: b.map((a) => sb * a), rows, columns,
    }));
    return { layers, activation: s.activation, residual: s.residual };
  }

  // ---- forward and back substitution ----

  function pass({ layers, activation, residual }, inputs = X) {
    const { value, slope } = ACTIVATIONS[activation], n = inputs.length, N = layers.length;
    const states = [inputs], slopes = [], before = [];
    layers.forEach(({ w, b, rows, columns }, l) => {
      const x = states[l], z = new Float64Array(rows * n);
      for (let i = 0; i < rows; i++) {
        const row = i * n;
        for (let k = 0; k < n; k++) z[row + k] = b[i];
        for (let j = 0; j < columns; j++) {
          const a = w[i * columns + j], column = j * n;
          for (let k = 0; k < n; k++) z[row + k] += a * x[column + k];
        }
      }
      before.push(z);
      if (l === N - 1) return states.push(z), slopes.push(new Float64Array(rows * n).fill(1));
      const y = new Float64Array(rows * n), d = new Float64Array(rows * n);
      const skips = residual && rows === columns;
      for (let k = 0; k < z.length; k++) {
        const h = value(z[k]);
        d[k] = slope(z[k], h);
        y[k] = skips ? h + x[k] : h;
      }
      states.push(y);
      slopes.push(d);
    });
    return { states, slopes, before, n };
  }

  function norm(a) {
    let largest = 0, square = 0;
    for (const value of a) largest = Math.max(largest, Math.abs(value));
    if (largest === 0) return 0;
    for (const value of a) square += (value / largest) ** 2;
    return largest * Math.sqrt(square);
  }

  // ln of the root mean square over rows of ‖∂ℓ/∂xₗ‖, and of ‖∂ℓ/∂bₗ‖, for the loss ½(x_N − y)².
  // λ is rescaled on its way, so that no depth takes it out of range. `visit` sees every
  // (l, μ, exponent)
  function gradients({ layers, residual }, done, visit = null) {
    const n = done.n, N = layers.length;
    const logStates = new Float64Array(N), logBiases = new Float64Array(N);
    let lambda = done.states[N].map((y, k) => y - Y[k]), exponent = 0;
    for (let l = N - 1; l >= 0; l--) {
      const { w, rows, columns } = layers[l], d = done.slopes[l];
      let largest = 0;
      for (let k = 0; k < lambda.length; k++) largest = Math.max(largest, Math.abs(lambda[k]));
      if (largest > 0 && (largest < 1e-60 || largest > 1e60)) {
        const e = Math.round(Math.log2(largest)), scale = 2 ** -Math.max(-1000, Math.min(1000, e));
        for (let k = 0; k < lambda.length; k++) lambda[k] *= scale;
        exponent -= Math.log2(scale);
      }
      const mu = new Float64Array(rows * n), sums = new Float64Array(rows);
      for (let i = 0; i < rows; i++) {
        for (let k = i * n; k < (i + 1) * n; k++) {
          mu[k] = d[k] * lambda[k];
          sums[i] += mu[k];
        }
      }
      logStates[l] = Math.log(norm(lambda) / Math.sqrt(n)) + exponent * Math.LN2;
      logBiases[l] = Math.log(norm(sums) / n) + exponent * Math.LN2;
      if (visit) visit(l, mu, exponent);
      const below = residual && rows === columns && l < N - 1
        ? Float64Array.from(lambda) : new Float64Array(columns * n);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const a = w[i * columns + j];
          for (let k = 0; k < n; k++) below[j * n + k] += a * mu[i * n + k];
        }
      }
      lambda = below;
    }
    return { logStates, logBiases };
  }

  // ---- (I − L)⁻¹ ----

  function product(A, B, rows, inner, columns) {
    const C = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      for (let k = 0; k < inner; k++) {
        const a = A[i * inner + k];
        for (let j = 0; j < columns; j++) C[i * columns + j] += a * B[k * columns + j];
      }
    }
    return C;
  }

  function jacobian({ w, rows, columns }, d, skips) {
    const J = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        J[i * columns + j] = d[i] * w[i * columns + j] + (skips && i === j ? 1 : 0);
      }
    }
    return J;
  }

  // ln of the norms of the blocks ∂x_i/∂x_j of (I − L)⁻¹ at one input, for at most `points` layers.
  // Jacobians between two layers that are shown are multiplied once
  function blocks(network, x, points = 40) {
    const { layers, residual } = network, N = layers.length;
    const done = pass(network, Float64Array.of(x));
    const count = Math.min(points, N), shown = [];
    for (let k = 0; k < count; k++) {
      const l = roundEven(count > 1 ? 1 + (k * (N - 1)) / (count - 1) : 1);
      if (l !== shown[shown.length - 1]) shown.push(l);
    }
    const between = shown.slice(1).map((last, k) => {
      let P = null;
      for (let l = shown[k]; l < last; l++) {
        const layer = layers[l], skips = residual && l < N - 1 && layer.rows === layer.columns;
        const J = jacobian(layer, done.slopes[l], skips);
        P = P ? scaled(product(J, P.m, layer.rows, layer.columns, P.columns), P) :
          scaled(J, { exponent: 0, columns: layer.columns });
      }
      return { ...P, rows: layers[last - 1].rows };
    });
    const logNorms = shown.map(() => new Float64Array(shown.length).fill(-Infinity));
    shown.forEach((layer, j) => {
      logNorms[j][j] = 0.5 * Math.log(layers[layer - 1].rows);
      let P = null;
      for (let i = j + 1; i < shown.length; i++) {
        const S = between[i - 1];
        P = P ? scaled(product(S.m, P.m, S.rows, S.columns, P.columns),
          { exponent: P.exponent + S.exponent, columns: P.columns }) : S;
        logNorms[i][j] = Math.log(norm(P.m)) + P.exponent * Math.LN2;
      }
    });
    return { layers: shown, logNorms };
  }

  // A matrix times 2^exponent, its entries kept within range
  function scaled(m, { exponent, columns }) {
    let largest = 0;
    for (const a of m) largest = Math.max(largest, Math.abs(a));
    if (largest === 0 || (largest > 1e-60 && largest < 1e60)) return { m, exponent, columns };
    const e = Math.max(-1000, Math.min(1000, Math.round(Math.log2(largest)))), scale = 2 ** -e;
    return { m: m.map((a) => a * scale), exponent: exponent + e, columns };
  }

  // halves go to the even number, as in NumPy
  function roundEven(a) {
    const low = Math.floor(a);
    if (a - low === 0.5) return low % 2 ? low + 1 : low;
    return Math.round(a);
  }

  // ---- two inputs ----

  // The cosine between the pre-activations of two inputs, layer by layer
  function correlations(network, x, y) {
    const { before } = pass(network, Float64Array.of(x, y));
    return before.map((z) => {
      let largest = [0, 0], dot = 0, xx = 0, yy = 0;
      for (let k = 0; k < z.length; k++) largest[k % 2] = Math.max(largest[k % 2], Math.abs(z[k]));
      for (let k = 0; k < z.length; k += 2) {
        const a = z[k] / largest[0], b = z[k + 1] / largest[1];
        dot += a * b;
        xx += a * a;
        yy += b * b;
      }
      return dot / Math.sqrt(xx * yy);
    });
  }

  // ---- training ----

  // Adam on all rows at once, as optax and so jnn.fit define it: a function that takes one step,
  // and says the loss before it
  function adam(network, rate = LEARNING_RATE) {
    const zeros = () => network.layers.map(({ w, b }) => ({
      w: new Float64Array(w.length), b: new Float64Array(b.length),
    }));
    const first = zeros(), second = zeros();
    let steps = 0;
    function update(values, gradient, m, v) {
      const c1 = 1 - 0.9 ** steps, c2 = 1 - 0.999 ** steps;
      for (let k = 0; k < values.length; k++) {
        m[k] = 0.1 * gradient[k] + 0.9 * m[k];
        v[k] = 0.001 * gradient[k] * gradient[k] + 0.999 * v[k];
        values[k] -= (rate * (m[k] / c1)) / (Math.sqrt(v[k] / c2) + 1e-8);
      }
    }
    return () => {
      const done = pass(network), n = done.n;
      const output = done.states[done.states.length - 1];
      const loss = output.reduce((sum, y, k) => sum + (y - Y[k]) ** 2, 0) / (2 * n);
      steps += 1;
      const updates = [];
      gradients(network, done, (l, mu, exponent) => {
        const { rows, columns } = network.layers[l], x = done.states[l], scale = 2 ** exponent / n;
        const w = new Float64Array(rows * columns), b = new Float64Array(rows);
        for (let i = 0; i < rows; i++) {
          for (let k = 0; k < n; k++) b[i] += mu[i * n + k] * scale;
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let k = 0; k < n; k++) sum += mu[i * n + k] * x[j * n + k];
            w[i * columns + j] = sum * scale;
          }
        }
        updates.push([l, w, b]); // after the pass, which needs the weights as they were
      });
      for (const [l, w, b] of updates) {
        update(network.layers[l].w, w, first[l].w, second[l].w);
        update(network.layers[l].b, b, first[l].b, second[l].b);
      }
      return loss;
    };
  }

  return { X, Y, LEARNING_RATE, draw, pass, gradients, blocks, correlations, adam };
})();
