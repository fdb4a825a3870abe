/* Draws each figure of a page from the data beside it: as wide as its column, in the page's colours. */
(function () {
  "use strict";

  var NARROW = 500; // px: below, the legend goes under the picture

  function dark() {
    return document.documentElement.dataset.theme === "dark";
  }

  function colours() {
    return dark()
      ? { ink: "#e4e6eb", grid: "#41464c" }
      : { ink: "#222222", grid: "#e6e8ea" };
  }

  /* A figure in the page's colours: what is drawn in ink on white is drawn in light on dark. */
  function inked(text) {
    var colour = colours();
    return JSON.parse(text.split("#222222").join(colour.ink).split("#e6e8ea").join(colour.grid));
  }

  /* The layout as stored, of the size of its column, with nothing of its template lost. */
  function fitted(layout, width, size) {
    var shown = layout;
    var colour = colours();
    var narrow = width < NARROW;
    var ratio = Math.max(size[1] / size[0], narrow ? 0.85 : 0.45);
    shown.width = width;
    shown.height = Math.round(width * ratio);
    shown.autosize = false;
    shown.paper_bgcolor = "rgba(0,0,0,0)";
    shown.plot_bgcolor = "rgba(0,0,0,0)";
    shown.font = Object.assign({}, shown.font, {
      color: colour.ink,
      size: narrow ? 12 : 15,
    });
    shown.title = Object.assign({}, shown.title);
    shown.title.font = Object.assign({}, shown.title.font, { size: narrow ? 14 : 19 });
    if (narrow) {
      shown.legend = Object.assign({}, shown.legend, {
        orientation: "h", x: 0, xanchor: "left", y: -0.3, yanchor: "top",
      });
      shown.margin = Object.assign({}, shown.margin, { l: 56, r: 12, t: 48, b: 56 });
      shown.height += 70;
    }
    return shown;
  }

  function draw(box) {
    var width = Math.floor(box.clientWidth);
    if (!width) return; // in a solution that is folded
    if (!box.figure) {
      box.figure = box.querySelector("script").textContent;
      box.size = box.dataset.size.split(" ").map(Number);
      box.plot = document.createElement("div");
      box.appendChild(box.plot);
    }
    var key = width + (dark() ? " dark" : " light");
    if (box.drawn === key) return;
    box.drawn = key;
    var figure = inked(box.figure);
    var layout = fitted(figure.layout, width, box.size);
    Plotly.react(box.plot, figure.data, layout, { displaylogo: false, displayModeBar: false });
  }

  function start() {
    var boxes = Array.from(document.querySelectorAll(".jnn-figure"));
    var seen = new ResizeObserver(function (entries) {
      entries.forEach(function (entry) { draw(entry.target); });
    });
    boxes.forEach(function (box) { draw(box); seen.observe(box); });
    new MutationObserver(function () { boxes.forEach(draw); }).observe(
      document.documentElement,
      { attributes: true, attributeFilter: ["data-theme"] },
    );
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
