// Builds elements. Text is always text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(path, label) {
  return s("svg", { viewBox: "0 0 24 24", class: "icon", role: label ? "img" : null, "aria-label": label, "aria-hidden": label ? null : "true" },
    s("path", { d: path }));
}

// Behind an open dialog nothing is seen or read out, so a dialog may have places of its own for both.
const front = (name, usual) => document.querySelector(`dialog[open] [data-${name}]`) ?? document.getElementById(usual);

export function toast(sentence, kind = "note") {
  const place = front("toasts", "toasts");
  const note = h("div", { class: `toast ${kind}` }, sentence);
  place.replaceChildren(note);
  setTimeout(() => note.remove(), 6000);
}

export function say(sentence) {
  front("say", "say").textContent = sentence;
}

// Skeletons appear only after 300 ms: what is quick must not flicker.
export function skeleton(place, count = 6) {
  const timer = setTimeout(() => {
    if (place.childElementCount) return;
    place.replaceChildren(h("div", { class: "skeletons", "aria-hidden": "true" }, Array.from({ length: count }, () => h("div", { class: "skeleton" }))));
  }, 300);
  return () => clearTimeout(timer);
}
