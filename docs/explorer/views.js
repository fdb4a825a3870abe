// The pictures. A prediction is a line, a measurement points, many networks a band.
"use strict";

explorer.views = (() => {
  const LN10 = Math.log(10);
  const STILL = { staticPlot: true, responsive: true };
  // light for small, as in the figures of jnn
  const SIZES = [[0, "#dcefc0"], [0.25, "#8fd3bb"], [0.5, "#45b0c4"], [0.75, "#2272b4"], [1, "#0b1f58"]];
  const W2 = Array.from({ length: 61 }, (_, k) => 0.05 + (k * 4.95) / 60);
  const B2 = Array.from({ length: 31 }, (_, k) => k / 30);

  // ---- one look ----

  // of the page, which knows whether it is light or dark
  function colours(root) {
    const style = getComputedStyle(root);
    const of = (name) => style.getPropertyValue(`--explorer-${name}`).trim();
    return {
      ink: of("ink"), paper: of("paper"), grid: of("grid"), faint: of("faint"), band: of("band"),
      measured: of("measured"), predicted: of("predicted"), middle: of("middle"),
    };
  }

  function layout(c, x, y, more = {}) {
    const axis = {
      color: c.ink, gridcolor: c.grid, linecolor: c.ink, showline: true, zeroline: false,
      ticks: "outside", fixedrange: true,
    };
    return {
      font: { family: "Arial, Helvetica, Liberation Sans, sans-serif", size: 13, color: c.ink },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 58, r: 14, t: 8, b: 48 }, showlegend: false, hovermode: false, dragmode: false,
      xaxis: { ...axis, title: { text: x, standoff: 8 }, ...more.xaxis },
      yaxis: { ...axis, title: { text: y, standoff: 6 }, ...more.yaxis },
    };
  }

  const line = (c, dash = "solid") => ({ color: c, width: 2.5, dash });
  const count = (n, first = 1) => Float64Array.from({ length: n }, (_, k) => k + first);

  // ---- the five ----

  // The plane of variances, which changes with the activation alone
  function plane(box, c, activation, meanField) {
    const z = meanField.diagram(activation, W2, B2);
    const critical = meanField.criticalLine(activation, 5, 1);
    const scale = [[0, "#4393c3"], [0.5, c.middle], [1, "#d6604d"]];
    const single = critical.w2.length === 1;
    Plotly.react(box, [
      { type: "heatmap", x: W2, y: B2, z, zmin: -0.6, zmax: 0.6, colorscale: scale, showscale: false,
        zsmooth: "best" },
      { x: critical.w2, y: critical.b2, mode: single ? "markers" : "lines", cliponaxis: !single,
        line: line(c.ink, "dash"), marker: { color: c.ink, size: 9, symbol: "diamond" } },
    ], layout(c, "σ<sub>w</sub>²", "σ<sub>b</sub>²",
      { xaxis: { range: [0.05, 5] }, yaxis: { range: [0, 1] } }), STILL);
  }

  // log₁₀ of the gradient of every hidden layer over that of the last
  const relative = (logs, H) => Array.from(logs.slice(0, H), (g) => {
    const log = (g - logs[H - 1]) / LN10;
    return Number.isFinite(log) ? log : null;
  });

  // Says whether the end of float32 is within sight
  function gradients(box, c, { logStates, predicted, band }) {
    const H = predicted.length, l = count(H);
    const own = relative(logStates, H), law = relative(predicted, H);
    const every = [...own, ...law, ...(band ? [...band.low, ...band.high] : [])]
      .filter((y) => y !== null && y > -Number.MAX_VALUE);
    const floor = Math.log10(2 ** -126) - logStates[H - 1] / LN10;
    const lowest = Math.min(-1, ...every), high = Math.max(1, ...every);
    const ends = Number.isFinite(floor) && lowest < floor + 6;
    const low = ends ? Math.min(lowest, floor - 1) : lowest, pad = 0.05 * (high - low);
    const traces = [];
    if (band) {
      const edge = { mode: "lines", line: { width: 0 } };
      const within = (values) => values.map((y) => Math.max(y, low - pad));
      traces.push({ x: l, y: within(band.low), ...edge });
      traces.push({ x: l, y: within(band.high), ...edge, fill: "tonexty", fillcolor: c.band });
    }
    const marker = { color: c.measured, size: H > 80 ? 4 : 6 };
    traces.push({ x: l, y: law, mode: "lines", line: line(c.predicted) });
    traces.push({ x: l, y: own, mode: "markers", marker });
    if (ends) traces.push({ x: [1, H], y: [floor, floor], mode: "lines", line: line(c.faint, "dash") });
    const title = "log₁₀ of ‖∂ℓ/∂x<sub>l</sub>‖ / ‖∂ℓ/∂x<sub>H</sub>‖";
    Plotly.react(box, traces, layout(c, "layer", title,
      { xaxis: { range: [1 - 0.02 * H, 1.02 * H] }, yaxis: { range: [low - pad, high + pad] } }), STILL);
    return ends;
  }

  function blocks(box, c, { layers, logNorms }) {
    const z = logNorms.map((row) =>
      Array.from(row, (log) => (log > -Infinity ? log / LN10 : null)));
    const N = layers[layers.length - 1], values = z.flat().filter((a) => a !== null);
    const least = Math.max(-40, Math.min(...values));
    const most = Math.min(40, Math.max(...values, least + 1));
    Plotly.react(box, [{
      type: "heatmap", x: layers, y: layers, z, colorscale: SIZES, zmin: least, zmax: most,
      colorbar: { thickness: 12, outlinewidth: 0, tickfont: { color: c.ink }, nticks: 6, len: 1,
        title: { text: "log₁₀", side: "top", font: { size: 12 } } },
    }], layout(c, "of layer j", "by layer i",
      { xaxis: { range: [0.5, N + 0.5], showgrid: false },
        yaxis: { range: [N + 0.5, 0.5], showgrid: false } }), STILL);
  }

  function correlations(box, c, { measured, predicted }) {
    const l = count(predicted.length), size = predicted.length > 80 ? 4 : 6;
    Plotly.react(box, [
      { x: l, y: predicted, mode: "lines", line: line(c.predicted) },
      { x: l, y: measured, mode: "markers", marker: { color: c.measured, size } },
    ], layout(c, "layer", "correlation of z<sub>l</sub>",
      { xaxis: { range: [1 - 0.02 * l.length, 1.02 * l.length] }, yaxis: { range: [-1.08, 1.08] } }),
    STILL);
  }

  function loss(box, c, losses) {
    const log = losses.map((v) => (v > 0 && Number.isFinite(v) ? Math.log10(v) : null));
    Plotly.react(box, [{ x: count(losses.length), y: log, mode: "lines", line: line(c.measured) }],
      layout(c, "step", "log₁₀ of the loss", 
        { xaxis: { range: [0, 201] }, yaxis: losses.length ? {} : { range: [-3, 1] } }), STILL);
  }

  // ---- the point in the plane ----

  // Where a point of variances lies in the box, in pixels, and back
  function place(box, w2, b2) {
    const { xaxis, yaxis } = box._fullLayout;
    return [xaxis._offset + xaxis.l2p(w2), yaxis._offset + yaxis.l2p(b2)];
  }

  function variances(box, left, top) {
    const { xaxis, yaxis } = box._fullLayout;
    return [xaxis.p2l(left - xaxis._offset), yaxis.p2l(top - yaxis._offset)];
  }

  return { colours, plane, gradients, blocks, correlations, loss, place, variances, relative };
})();
