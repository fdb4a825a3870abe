/* Draws each figure of a page from the data beside it: as wide as its column, light or dark.
 *
 * Plotly knows no media queries, so the layout is made anew for each width. Texts are measured
 * before they are drawn: titles wrap, a legend that would take the picture's place goes under it,
 * numbers in cells shrink, and go where they would be too small to read.
 */
(function () {
  "use strict";

  const NARROW = 500; // px: below, the legend goes under the picture
  const TALLEST = 800; // px
  const SMALLEST = 10; // px, of letters
  const FAMILY = "Arial, Helvetica, Liberation Sans, sans-serif";
  const CELLS = "#222222"; // numbers in cells, which have the same colours in the dark
  // what is drawn on white in the first, is drawn on black in the second
  const DARK = { "#222222": "#e4e6eb", "#e6e8ea": "#41464c", "#5f656b": "#a9b0b7" };
  const BLACK = [0x14, 0x18, 0x1e];
  const AXIS = /^[xy]axis\d*$/;
  const screen = window.matchMedia("(prefers-color-scheme: dark)");

  function dark() {
    const theme = document.documentElement.dataset.theme;
    return theme === "dark" || (theme !== "light" && screen.matches);
  }

  /* ---- colours ---- */

  function luminance(rgb) {
    const [r, g, b] = rgb.map((c) => {
      const share = c / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  /* A line's colour, lighter where it would not stand out against black. */
  function lifted(colour) {
    const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour);
    const numbers = /^rgb\((\d+), *(\d+), *(\d+)\)$/.exec(colour);
    if (!hex && !numbers) return colour;
    let rgb = hex ? hex.slice(1).map((c) => parseInt(c, 16)) : numbers.slice(1).map(Number);
    const enough = 3.5 * (luminance(BLACK) + 0.05) - 0.05;
    while (luminance(rgb) < enough) rgb = rgb.map((c) => Math.round(c + (255 - c) * 0.1) + 1);
    return `rgb(${rgb.map((c) => Math.min(c, 255)).join(",")})`;
  }

  function darkened(text) {
    for (const [light, other] of Object.entries(DARK)) text = text.split(light).join(other);
    const figure = JSON.parse(text);
    figure.data.forEach((trace) => {
      const cells = trace.type === "heatmap" && trace.textfont;
      if (cells && cells.color) cells.color = CELLS; // else Plotly takes what stands out
      [trace.line, trace.marker].forEach((part) => {
        if (part && typeof part.color === "string") part.color = lifted(part.color);
      });
    });
    return figure;
  }

  /* ---- texts ---- */

  const pen = document.createElement("canvas").getContext("2d");

  function wide(text, font) {
    pen.font = `${font}px ${FAMILY}`;
    return pen.measureText(text.replace(/<[^>]*>/g, "")).width;
  }

  /* The text in lines no wider than `most`, cut between words. */
  function wrapped(text, font, most) {
    const lines = [];
    for (const word of text.replace(/<br>/g, " ").split(" ")) {
      const longer = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
      if (lines.length && wide(longer, font) <= most) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  }

  function names(data, layout) {
    if (layout.showlegend === false) return [];
    const named = data.filter((trace) => trace.name && trace.showlegend !== false);
    return named.length > 1 || layout.showlegend ? named.map((trace) => trace.name) : [];
  }

  /* ---- layout ---- */

  function titled(part, font, most) {
    if (!part.title || !part.title.text) return 1;
    const lines = wrapped(part.title.text, font, most);
    part.title.text = lines.join("<br>");
    part.title.font = { ...part.title.font, size: font };
    return lines.length;
  }

  /* The figure laid out for a column of this width; `size` is that of the static picture. */
  function fitted(figure, width, size) {
    const shown = figure.layout;
    const font = Math.round(Math.min(18, Math.max(12, 9 + width / 130)));
    const big = Math.round(1.25 * font);
    const entries = names(figure.data, shown);
    const beside = Math.max(0, ...entries.map((name) => wide(name, font))) + 60;
    const under = entries.length > 0 && (width < NARROW || beside > 0.3 * width);
    const bars = figure.data.some((trace) => trace.colorbar && trace.showscale !== false);
    const ratio = Math.max(size[1] / size[0], width < NARROW ? 0.75 : 0.45);

    shown.font = { ...shown.font, size: font };
    shown.width = width;
    shown.height = Math.min(TALLEST, Math.round(width * ratio));
    shown.autosize = false;
    shown.paper_bgcolor = shown.plot_bgcolor = "rgba(0,0,0,0)";
    const lines = titled(shown, big, width - 24);
    const above = shown.xaxis && shown.xaxis.side === "top" ? 1.8 * font : 0; // its labels
    const top = 1.3 * big * lines + 20 + above;
    shown.height += Math.round(1.3 * big * (lines - 1));
    shown.margin = { l: 16, r: 24, t: top, b: 16 };

    const room = [0.85 * (width - (bars ? 140 : 60)), 0.8 * (shown.height - top - 50)];
    for (const key of Object.keys(shown).filter((name) => AXIS.test(name))) {
      const lines = titled(shown[key], font, room[key[0] === "x" ? 0 : 1]);
      if (lines > 1 && key[0] === "x") shown.height += Math.round(1.3 * font * (lines - 1));
      const between = /^D/.test(shown[key].dtick); // 2 and 5, which Plotly writes at 0.75
      if (between) shown[key].tickfont = { size: Math.max(font, Math.ceil(SMALLEST / 0.75)) };
    }
    (shown.annotations || []).forEach((note) => {
      const own = (note.font && note.font.size) || font;
      note.font = { ...note.font, size: Math.max(SMALLEST, Math.min(own, font)) };
    });
    figure.data.forEach((trace) => {
      if (trace.colorbar) scaled(trace.colorbar, font, width, 0.75 * (shown.height - top - 40));
      if (trace.type === "heatmap" && trace.texttemplate) {
        numbered(trace, [width - 170, shown.height - top - 70]);
      }
    });
    if (under) {
      const [entrywidth, lines] = columns(entries.map((name) => wide(name, font)), width);
      shown.legend = {
        ...shown.legend, entrywidth, tracegroupgap: 0,
        orientation: "h", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom",
      };
      // the picture keeps its height, and the legend gets its own, as Plotly will reckon it
      shown.height += Math.ceil(lines * (Math.max(16, 1.3 * font) + 3) + 10);
    }
    if (shown.title) Object.assign(shown.title, { x: 12 / width, y: 1 - 10 / shown.height });
  }

  /* The width of an entry and the lines of the legend under a picture; its entries' own widths, 0,
   * where they go on one line.
   *
   * Plotly breaks the legend by the width of the axes, which their numbers narrow, which go by the
   * height, which the legend's lines take: it can go round for ever. So the columns are as many
   * whether the numbers are long or short.
   */
  function columns(entries, width) {
    const [least, most] = [width - 130, width - 40]; // of the axes
    const beside = 45; // an entry's sign and the gap to the next
    if (entries.reduce((sum, entry) => sum + entry + beside, 0) <= least) return [0, 1];
    const widest = Math.max(...entries) + beside;
    const count = Math.max(1, Math.floor(least / Math.max(widest, most + 5 - least)));
    const column = Math.ceil(Math.max(widest, (most + 5) / (count + 1)));
    return [column - beside, Math.ceil(entries.length / count)];
  }

  function scaled(bar, font, width, most) {
    titled(bar, font, most);
    bar.thickness = width < NARROW ? 10 : 18;
    bar.tickfont = { ...bar.tickfont, size: Math.max(11, font - 2) };
    if (width < NARROW) bar.xpad = 4;
  }

  /* The numbers of a heat map in letters that fit into its cells, or none. */
  function numbered(trace, room) {
    const columns = Math.max(...trace.text.map((row) => row.length));
    const side = [room[0] / columns, room[1] / trace.text.length];
    if (trace.xgap) side[0] = Math.min(...side) * (trace.square ? 1 : side[0] / Math.min(...side));
    const longest = Math.max(...trace.text.flat().map((text) => wide(text, 100) / 100));
    const font = Math.floor(Math.min(16, (0.9 * side[0]) / longest, 0.7 * side[1]));
    if (font < SMALLEST) trace.texttemplate = "";
    else trace.textfont = { ...trace.textfont, size: font };
  }

  /* ---- drawing ---- */

  async function draw(box) {
    const width = Math.floor(box.clientWidth);
    if (!width) return; // in a solution that is folded
    if (!box.plot) {
      box.source = box.querySelector("script").textContent;
      box.size = box.dataset.size.split(" ").map(Number);
      box.plot = document.createElement("div");
      box.appendChild(box.plot);
    }
    const key = `${width} ${dark() ? "dark" : "light"}`;
    if (box.asked === key) return;
    box.asked = key;
    const figure = dark() ? darkened(box.source) : JSON.parse(box.source);
    fitted(figure, width, box.size);
    const settings = { displaylogo: false, displayModeBar: false };
    const frames = figure.frames || [];
    await Plotly.react(box.plot, { ...figure, frames, config: settings });
    box.dataset.drawn = key;
  }

  function start() {
    const boxes = Array.from(document.querySelectorAll(".jnn-figure"));
    const all = () => boxes.forEach(draw);
    const seen = new ResizeObserver((entries) => entries.forEach((entry) => draw(entry.target)));
    boxes.forEach((box) => seen.observe(box)); // which tells the first size, too
    screen.addEventListener("change", all);
    new MutationObserver(all).observe(document.documentElement, {
      attributes: true, attributeFilter: ["data-theme"],
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
