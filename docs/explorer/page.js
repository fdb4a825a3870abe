// The page: controls, what follows from a move, the band in slices, training.
"use strict";

(() => {
  const { settings, views, words, meanField, network: nets } = explorer;
  const root = document.getElementById("explorer");
  const INPUTS = [1, -0.5]; // whose correlation is followed; the map is taken at the first
  const MEMBERS = 100, STEPS = 200, SLICE = 10; // networks in the band; of training; milliseconds
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  let s = settings.fromHash(location.hash);
  let network = null, shown = null, losses = [], training = null, move = 0, followed = 0, drawnPlane = null;

  // ---- elements ----

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  const control = {};
  function labelled(name, label, input) {
    control[name] = input;
    input.id = `explorer-${name}`;
    const output = element("output", { for: input.id, id: `${input.id}-value`, "aria-hidden": "true" });
    return element("div", { class: "control" }, element("label", { for: input.id }, label, " ", output), input);
  }

  function choice(name, label, options) {
    const select = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
    select.addEventListener("change", () => set({ [name]: select.value }));
    return labelled(name, label, select);
  }

  function slider(name, label, spoken) {
    const [min, max, step] = settings.RANGES[name];
    const range = element("input", { type: "range", min, max, step, "aria-label": spoken });
    range.addEventListener("input", () => set({ [name]: range.value }));
    return labelled(name, label, range);
  }

  function button(text, act, attributes = {}) {
    const made = element("button", { type: "button", ...attributes }, text);
    made.addEventListener("click", act);
    return made;
  }

  const box = {};
  function view(name, title, note, spoken, ...more) {
    box[name] = element("div", { class: "plot", role: "img", "aria-label": spoken });
    const holder = element("div", { class: "holder" }, box[name]);
    return element("section", { class: `view ${name}` }, element("h3", {}, title),
      element("p", { class: "note", id: `explorer-note-${name}` }, ...note), holder, ...more);
  }

  const key = (kind, text) => element("span", { class: "key" }, element("i", { class: kind }), text);
  // text whose σ_w² and σ_b² are set as they are written by hand
  function prose(text) {
    return text.split(/(σ_[wb]²)/).map((part) => (/^σ_/.test(part) ? sub("σ", part[2], "²") : part));
  }
  const sub = (letter, index, rest = "") => element("span", {}, letter, element("sub", {}, index), rest);

  const residual = element("input", { type: "checkbox" });
  residual.addEventListener("change", () => set({ residual: residual.checked }));
  const presets = Object.entries(settings.PRESETS).map(([name, { name: text, settings: of }]) =>
    button(text, () => set(of), { "data-preset": name, "aria-pressed": "false" }));
  const story = element("p", { class: "story" });
  const verdict = element("div", { class: "verdict" });
  const live = element("div", { class: "spoken", role: "status", "aria-live": "polite" });
  const code = element("pre", { tabindex: "0", "aria-label": "Python for these settings" }, element("code"));
  const point = element("button", { type: "button", class: "point" });
  const train = button("Train, 200 steps", toggleTraining, { class: "train" });
  const bandKey = key("band", ""), endKey = key("end", "float32 ends");

  function build() {
    const controls = element("form", { class: "controls", "aria-label": "The network" },
      choice("activation", "Activation", settings.ACTIVATIONS.map((name) => [name, name])),
      choice("weights", "Weights", [["gaussian", "Gaussian"], ["orthogonal", "orthogonal"]]),
      slider("depth", "Depth", "Depth, hidden layers"),
      slider("width", "Width", "Width, units a layer"),
      slider("w2", sub("σ", "w", "²"), "Sigma w squared, variance of the weights times fan-in"),
      slider("b2", sub("σ", "b", "²"), "Sigma b squared, variance of the biases"),
      slider("draw", "Draw", "Draw, the number of the dice"),
      element("div", { class: "control check" },
        labelled("residual", "Residual", residual)));
    controls.addEventListener("submit", (event) => event.preventDefault());
    root.append(
      element("div", { class: "presets", role: "group", "aria-label": "Presets" }, ...presets), story,
      controls, verdict, live,
      element("div", { class: "views" },
        view("gradients", "The gradient of every layer",
          [key("measured", "this network"), bandKey, key("predicted", "wide networks, predicted"),
            endKey], "Gradient by layer; the verdict says it in words"),
        view("plane", "The phase diagram",
          ["Blue: gradients vanish. Red: they explode. Dashed: χ₁ = 1. Drag the point, or move it with the arrow keys. ",
            element("span", { class: "numbers" })],
          "Sigma w squared across, sigma b squared upwards"),
        view("blocks", "The blocks of (I − L)⁻¹",
          ["The norm of ∂xᵢ/∂xⱼ: how much layer i hears of layer j."], "Norms of the blocks by layer"),
        view("correlations", "The correlation of two inputs",
          [key("measured", "this network"), key("predicted", "wide networks, predicted"),
            " The inputs are 1 and −0.5."], "Correlation by layer"),
        view("loss", "Train",
          ["Adam on 16 points of sin(3x), from the weights drawn; the gradients above follow. ",
            element("span", { class: "reached" })], "Loss by step", train),
        element("section", { class: "view code" }, element("h3", {}, "The same in jnn"),
          element("p", { class: "note" }, "Equal settings, jnn’s own dice. ",
            button("Copy", copy, { class: "copy" })), code)));
    box.plane.parentNode.append(point);
  }

  // ---- state ----

  function set(changes) {
    s = settings.limited({ ...s, ...changes });
    for (const name of ["w2", "b2"]) s[name] = Number(s[name].toFixed(3));
    follow();
  }

  let waiting = false;
  function follow() {
    stopTraining();
    move += 1;
    showControls();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update();
    });
  }

  function showControls() {
    for (const [name, input] of Object.entries(control)) {
      if (name === "residual") input.checked = s.residual;
      else input.value = s[name];
      const output = document.getElementById(`explorer-${name}-value`);
      if (name in settings.RANGES) {
        output.textContent = s[name];
        input.setAttribute("aria-valuetext", String(s[name]));
      }
    }
    const preset = settings.preset(s);
    for (const made of presets) made.setAttribute("aria-pressed", String(made.dataset.preset === preset));
    story.replaceChildren(...prose(preset ? settings.PRESETS[preset].text :
      "Settings of your own. A preset brings you back to the story."));
    code.firstChild.textContent = words.python(s);
    history.replaceState(null, "", settings.toHash(s));
  }

  // ---- what follows from a move ----

  // Prediction and measurement of a network
  function measure() {
    const H = s.depth, mean = (a) => a.reduce((sum, v) => sum + v, 0) / a.length;
    const start = [mean(nets.X.map((x) => x * x)), mean(nets.X)];
    const { q, logGradient } = meanField.signals(H, s.activation, s.w2, s.b2, s.residual, start);
    const done = nets.pass(network), gradients = nets.gradients(network, done);
    const predicted = new Float64Array(H);
    for (let l = H - 2; l >= 0; l--) predicted[l] = predicted[l + 1] + logGradient[l + 1];
    const rate = H > 1 ? predicted[0] / (H - 1) : 0;
    return {
      q, logGradient, predicted, logStates: gradients.logStates, logBiases: gradients.logBiases,
      diagnosis: words.diagnose(network, done, gradients, rate), band: null,
    };
  }

  // The gradients come first, so that the hand sees them; the other two follow it a frame later
  function update() {
    const began = performance.now(), c = views.colours(root);
    network = nets.draw(s);
    const { band } = shown || {};
    shown = measure();
    shown.band = band && band.size === s.depth ? band : null; // the old one until the new one is there
    const computed = performance.now();
    if (drawnPlane !== s.activation + c.paper) {
      views.plane(box.plane, c, s.activation, meanField);
      drawnPlane = s.activation + c.paper;
      losses = [];
      showLosses(c);
    } else if (losses.length) {
      losses = [];
      showLosses(c);
    }
    showPoint();
    showGradients(c);
    showVerdict();
    explorer.times = { compute: computed - began, draw: performance.now() - computed };
    if (!following) {
      following = true;
      followed = move;
      setTimeout(showBlocks, 0);
    }
    bandOf({ ...s }, move);
  }

  let following = false;
  function showBlocks() {
    const began = performance.now();
    views.blocks(box.blocks, views.colours(root), nets.blocks(network, INPUTS[0]));
    explorer.times.blocks = performance.now() - began;
    setTimeout(showCorrelations, 0);
  }

  function showCorrelations() {
    const began = performance.now(), { depth, activation, w2, b2, residual: skips } = s;
    const measured = nets.correlations(network, ...INPUTS).slice(0, depth); // not of the readout
    const predicted = meanField.correlations(depth, activation, w2, b2, ...INPUTS, skips);
    views.correlations(box.correlations, views.colours(root), { measured, predicted });
    explorer.times.correlations = performance.now() - began;
    following = false;
    if (move !== followed) {
      followed = move;
      following = true;
      setTimeout(showBlocks, 0);
    }
  }

  function showGradients(c) {
    endKey.hidden = !views.gradients(box.gradients, c, shown);
  }

  function showVerdict() {
    const { verdict: word, summary, lines } = shown.diagnosis;
    const { q, chi1 } = meanField.limits(s.activation, s.w2, s.b2);
    const line = meanField.critical(s.activation, s.b2);
    const number = (a) => (a === Infinity ? "∞" : words.digits(a, 4));
    root.querySelector(".numbers").replaceChildren(...prose(
      `q* = ${number(q)}, χ₁ = ${number(chi1)}; critical: ` +
      (Number.isNaN(line) ? "nowhere over this σ_b²." : `σ_w² = ${number(line)}.`)));
    verdict.replaceChildren(
      element("p", { class: word }, element("strong", {}, word), `: ${summary}`),
      element("dl", {}, ...lines.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)])));
    clearTimeout(showVerdict.later);
    const spoken = `${word}: ${summary}. ${lines.filter(([name]) => name === "float32").map((l) => l[1]).join(". ")}`;
    showVerdict.later = setTimeout(() => { live.textContent = spoken; }, 700); // when the hand rests
  }

  function showPoint() {
    const [left, top] = views.place(box.plane, s.w2, s.b2);
    point.style.transform = `translate(${left}px, ${top}px)`;
    point.setAttribute("aria-label", `The network: sigma w squared ${s.w2}, sigma b squared ${s.b2}; arrow keys move it`);
  }

  function showLosses(c) {
    views.loss(box.loss, c, losses);
    root.querySelector(".reached").textContent = losses.length
      ? `After ${losses.length} steps: ${words.digits(losses[losses.length - 1], 3)}.` : "";
  }

  // A hundred such networks, in slices that leave the hand its page; the middle 80 of each layer
  function bandOf(of, mine) {
    const rows = [];
    function slice() {
      if (mine !== move) return;
      const until = performance.now() + SLICE;
      while (rows.length < MEMBERS && performance.now() < until) {
        const member = nets.draw(of, rows.length + 1);
        const { logStates } = nets.gradients(member, nets.pass(member));
        rows.push(Array.from(logStates.slice(0, of.depth), (g) => (g - logStates[of.depth - 1]) / Math.LN10));
      }
      bandKey.lastChild.textContent = rows.length < MEMBERS
        ? `80 of ${MEMBERS} such networks (${rows.length} drawn)` : `80 of ${MEMBERS} such networks`;
      if (rows.length < MEMBERS) return setTimeout(slice, 0);
      const low = [], high = [];
      for (let l = 0; l < of.depth; l++) {
        const at = rows.map((row) => (Number.isFinite(row[l]) ? row[l] : -1e3)).sort((a, b) => a - b);
        low.push(at[10]);
        high.push(at[89]);
      }
      shown.band = { low, high, size: of.depth };
      explorer.band = shown.band;
      if (!training) showGradients(views.colours(root));
      return undefined;
    }
    explorer.band = null;
    bandKey.lastChild.textContent = `80 of ${MEMBERS} such networks`;
    setTimeout(slice, 0);
  }

  // ---- training ----

  function toggleTraining() {
    if (training) return stopTraining();
    network = nets.draw(s);
    losses = [];
    const step = nets.adam(network);
    training = { step };
    train.textContent = "Stop";
    const mine = training;
    function frame() {
      if (training !== mine) return;
      const until = performance.now() + 12;
      do losses.push(step());
      while (losses.length < STEPS && (still.matches || performance.now() < until));
      const { band } = shown;
      shown = { ...measure(), band };
      const c = views.colours(root);
      showGradients(c);
      showLosses(c);
      if (losses.length < STEPS) return requestAnimationFrame(frame);
      stopTraining();
      showVerdict();
      views.blocks(box.blocks, c, nets.blocks(network, INPUTS[0]));
      return undefined;
    }
    return requestAnimationFrame(frame);
  }

  function stopTraining() {
    training = null;
    train.textContent = "Train, 200 steps";
  }

  // ---- the point, by hand and by keys ----

  function drag(event) {
    const area = box.plane.getBoundingClientRect();
    const [w2, b2] = views.variances(box.plane, event.clientX - area.left, event.clientY - area.top);
    set({ w2, b2 });
  }

  point.addEventListener("pointerdown", (event) => {
    point.setPointerCapture(event.pointerId);
    point.addEventListener("pointermove", drag);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    point.addEventListener(end, () => point.removeEventListener("pointermove", drag));
  }
  point.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1;
    const by = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, 0.01], ArrowDown: [0, -0.01] }[event.key];
    if (!by) return;
    event.preventDefault();
    set({ w2: s.w2 + far * by[0], b2: s.b2 + far * by[1] });
  });

  async function copy(event) {
    const { target } = event;
    try {
      await navigator.clipboard.writeText(code.textContent);
      target.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard here: it is selected instead
      target.textContent = "Selected";
    }
    setTimeout(() => { target.textContent = "Copy"; }, 2000);
  }

  // ---- begin ----

  build();
  showControls();
  update();
  addEventListener("hashchange", () => {
    s = settings.fromHash(location.hash);
    follow();
  });
  new MutationObserver(() => { drawnPlane = null; follow(); })
    .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawnPlane = null; follow(); });
  new ResizeObserver(() => requestAnimationFrame(showPoint)).observe(box.plane);
  box.plane.on("plotly_afterplot", showPoint);

  // for tests, and for the curious: what is shown, in numbers
  explorer.state = () => ({ ...s });
  explorer.set = set;
  explorer.weights = () => network.layers.map(({ w, b, columns }) => ({
    w: Array.from(b, (_, i) => Array.from(w.slice(i * columns, (i + 1) * columns))), b: Array.from(b),
  }));
  explorer.shown = () => ({ ...shown, losses: [...losses], map: nets.blocks(network, INPUTS[0]) });
})();
