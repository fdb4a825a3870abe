// The elements that the page is made of: labelled controls, views, prose with subscripts.
"use strict";

explorer.parts = (() => {
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function button(text, act, attributes = {}) {
    const made = element("button", { type: "button", ...attributes }, text);
    made.addEventListener("click", act);
    return made;
  }

  const sub = (letter, index, rest = "") =>
    element("span", {}, letter, element("sub", {}, index), rest);

  // text whose σ_w² and σ_b² are set as they are written by hand
  const prose = (text) => text.split(/(σ_[wb]²)/)
    .map((part) => (/^σ_/.test(part) ? sub("σ", part[2], "²") : part));

  const key = (kind, text) => element("span", { class: "key" }, element("i", { class: kind }), text);

  // ---- controls: {holder, input, show}, which call back with their value ----

  function labelled(name, label, input) {
    input.id = `explorer-${name}`;
    const output = element("output", { for: input.id, "aria-hidden": "true" });
    const holder = element("div", { class: "control" },
      element("label", { for: input.id }, ...prose(label), " ", output), input);
    return { holder, input, output };
  }

  function choice(name, label, options, act) {
    const input = element("select", {},
      ...options.map((value) => element("option", { value }, value)));
    input.addEventListener("change", () => act(input.value));
    const { holder } = labelled(name, label, input);
    return { holder, show: (value) => { input.value = value; } };
  }

  function slider(name, label, spoken, [min, max, step], act) {
    const input = element("input", { type: "range", min, max, step, "aria-label": spoken });
    input.addEventListener("input", () => act(input.value));
    const { holder, output } = labelled(name, label, input);
    function show(value) {
      input.value = value;
      input.setAttribute("aria-valuetext", String(value));
      output.textContent = value;
    }
    return { holder, show };
  }

  function check(name, label, act) {
    const input = element("input", { type: "checkbox" });
    input.addEventListener("change", () => act(input.checked));
    const { holder } = labelled(name, label, input);
    return { holder, show: (value) => { input.checked = value; } };
  }

  // ---- views ----

  function view(name, title, note, spoken, ...more) {
    const plot = element("div", { class: "plot", role: "img", "aria-label": spoken });
    const section = element("section", { class: `view ${name}` }, element("h2", {}, title),
      element("p", { class: "note" }, ...note), element("div", { class: "holder" }, plot), ...more);
    return { section, plot };
  }

  return { element, button, prose, key, choice, slider, check, view };
})();
