// What the page is set to: limits, presets, and the address that holds it.
"use strict";

explorer.settings = (() => {
  const ACTIVATIONS = ["tanh", "sigmoid", "relu", "erf", "identity"];
  const WEIGHTS = ["gaussian", "orthogonal"];
  // [least, most, step]
  const RANGES = {
    depth: [2, 200, 1], width: [1, 32, 1], w2: [0.05, 5, 0.001], b2: [0, 1, 0.001], draw: [0, 999, 1],
  };

  const tanh = {
    activation: "tanh", weights: "gaussian", residual: false, depth: 50, width: 16, w2: 1.761,
    b2: 0.05, draw: 0,
  };
  const PRESETS = {
    critical: {
      name: "Critical",
      settings: { ...tanh },
      text: "On the line χ₁ = 1 the average gradient is as large in the first layer as in the last. " +
        "Single networks of finite width wander off it, the farther the deeper they are.",
    },
    vanishing: {
      name: "Vanishing",
      settings: { ...tanh, w2: 1, depth: 100 },
      text: "Left of the line every layer takes away the same share of the gradient, so that it " +
        "falls like a power of the depth’s number of layers. Two inputs end up alike, too: the " +
        "first layers hear nothing, and the last ones see nothing.",
    },
    exploding: {
      name: "Exploding",
      settings: { ...tanh, w2: 4, depth: 100 },
      text: "Right of the line every layer enlarges the gradient, and the first layers are told " +
        "to move far more than the last. Inputs that were near part from one another: the network " +
        "is chaotic.",
    },
    orthogonal: {
      name: "Orthogonal",
      settings: { ...tanh, weights: "orthogonal", w2: 1.009, b2: 0, depth: 100 },
      text: "An orthogonal matrix turns and never stretches, and near the critical point at " +
        "σ_b² = 0 tanh is almost straight. The band becomes narrow: not the average alone, every " +
        "network hands its gradient on.",
    },
    chain: {
      name: "The lecture’s chain",
      settings: { ...tanh, activation: "sigmoid", width: 1, depth: 10, w2: 1, b2: 1 },
      text: "One sigmoid unit a layer, weights and biases from N(0, 1). Each layer multiplies the " +
        "gradient by a weight and by a slope of at most ¼: ten layers are enough to lose it.",
    },
    end: {
      name: "The end of floats",
      settings: {
        ...tanh, activation: "sigmoid", weights: "orthogonal", width: 1, depth: 100, w2: 1, b2: 0,
      },
      text: "Weights of size 1 are the best that this chain can have, and still a layer lets less " +
        "than ¼ through. Some sixty layers below the output float32 has no number left that is so " +
        "small: the gradient there is exactly 0.",
    },
  };

  const START = PRESETS.critical.settings;

  // What may stand in an address, made one of the settings that there are
  function limited(given) {
    const s = { ...START };
    if (ACTIVATIONS.includes(given.activation)) s.activation = given.activation;
    if (WEIGHTS.includes(given.weights)) s.weights = given.weights;
    if (given.residual !== undefined) s.residual = [true, "true", "1", 1].includes(given.residual);
    for (const [name, [least, most, step]] of Object.entries(RANGES)) {
      const value = given[name] === undefined || given[name] === "" ? NaN : Number(given[name]);
      if (!Number.isFinite(value)) continue;
      const near = step === 1 ? Math.round(value) : value;
      s[name] = Math.min(most, Math.max(least, near));
    }
    return s;
  }

  const fromHash = (hash) => limited(Object.fromEntries(new URLSearchParams(hash.replace(/^#/, ""))));
  const toHash = (s) => `#${new URLSearchParams(s)}`;

  // The preset that these settings are, or null
  function preset(s) {
    const same = ([, { settings }]) => Object.keys(settings).every((key) => settings[key] === s[key]);
    const found = Object.entries(PRESETS).find(same);
    return found ? found[0] : null;
  }

  return { ACTIVATIONS, WEIGHTS, RANGES, PRESETS, START, limited, fromHash, toHash, preset };
})();
