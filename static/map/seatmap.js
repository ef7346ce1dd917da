// The seat map: draws a layout once and then only changes what changed. States never rely on colour alone.

import { h, s } from "../dom.js";
import { t } from "../i18n.js";
import { Camera } from "./camera.js";
import { beside, chart, PITCH } from "./geometry.js";

const SIZE = 26;
const MINIMAP_SEATS = 250;
const CHECK = "M-6 0 L-2 4.5 L6.5 -5";
const HINT_MS = 120;
const EDGE_PX = 14;
const WHEELCHAIR = "M-1.5 -8.2 a1.7 1.7 0 1 0 .1 0 M-1.4 -4 v5 h5 l2.6 5 M-1.4 -1.6 h4 M-3.4 -.6 a5 5 0 1 0 6.8 6";
const COMPANION = "M0 -7.6 a2.4 2.4 0 1 0 .1 0 M-4.6 6.6 c0 -8 9.2 -8 9.2 0";

export const GLYPHS = { wheelchair: WHEELCHAIR, companion: COMPANION };

export class SeatMap {
  // Seats in a state that is not among `pickable` are said to be out of reach; `price` says what a free one costs.
  constructor(place, layout, { onPick, pickable = ["free", "mine"], price = () => null }) {
    this.chart = chart(layout);
    this.onPick = onPick;
    this.pickable = pickable;
    this.price = price;
    this.letters = [];
    this.states = new Map();
    this.mine = new Set();
    this.pending = new Set();
    this.nodes = new Map();
    this.colors = new Map(layout.categories.map((category) => [category.key, category.color]));
    this.names = new Map(layout.categories.map((category) => [category.key, category.name]));
    this.#draw(place);
  }

  // `states` maps every seat that is not free to its public state; `mine` has the own ones.
  show(states, mine) {
    for (const label of this.chart.seats.keys()) {
      const state = mine.has(label) ? "mine" : states.get(label) ?? "free";
      if (this.states.get(label) !== state) this.#paint(label, state);
    }
    this.mine = mine;
    this.#paintMinimap();
  }

  isFree = (label) => (this.states.get(label) ?? "free") === "free";

  setPending(labels) {
    for (const label of this.pending) this.nodes.get(label)?.classList.remove("pending");
    this.pending = new Set(labels);
    for (const label of labels) this.nodes.get(label)?.classList.add("pending");
  }

  // Says on the seat itself why it cannot be had.
  explain(labels, sentence) {
    for (const label of labels) {
      const node = this.nodes.get(label);
      if (!node) continue;
      node.classList.add("refused");
      setTimeout(() => node.classList.remove("refused"), 2600);
    }
    const seat = this.chart.seats.get(labels[0]);
    if (!seat) return;
    this.#hintSoon(null);
    this.note.textContent = sentence;
    this.#beside(this.note, seat);
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => { this.note.hidden = true; }, 3600);
  }

  suggest(labels) {
    for (const node of this.nodes.values()) node.classList.remove("suggested");
    for (const label of labels) this.nodes.get(label)?.classList.add("suggested");
    setTimeout(() => { for (const label of labels) this.nodes.get(label)?.classList.remove("suggested"); }, 5000);
  }

  #at(seat) { return { x: seat.x * PITCH, y: seat.y * PITCH }; }

  #draw(place) {
    const { box } = this.chart;
    const home = { x: (box.left - 2.2) * PITCH, y: (box.front - 3.9) * PITCH,
      width: (box.right - box.left + 4.4) * PITCH, height: (box.back - box.front + 5) * PITCH };
    this.svg = s("svg", { class: "seatmap", role: "group", "aria-label": t("map.label"), "aria-describedby": "map-help",
      preserveAspectRatio: "xMidYMid meet" }, this.#patterns(), this.#surroundings(home), [...this.chart.layout.rows].map((row) => this.#row(row)),
      s("g", { class: "row-letters", "aria-hidden": "true" }, this.letters.map(({ node }) => node)));
    this.svg.style.setProperty("--ratio", `${home.width} / ${home.height}`);
    this.note = h("div", { class: "seat-note", role: "alert", hidden: true });
    this.hint = h("div", { class: "seat-hint", "aria-hidden": "true", hidden: true });
    this.minimap = this.chart.seats.size > MINIMAP_SEATS ? h("canvas", { class: "minimap", width: 168, height: Math.round(168 * home.height / home.width), "aria-hidden": "true" }) : null;
    this.home = home;
    place.replaceChildren(h("div", { class: "map-frame" }, this.svg, this.hint, this.note, this.minimap,
      h("p", { id: "map-help", class: "unseen" }, t("map.help"))), this.#buttons());
    this.camera = new Camera(this.svg, home, (view) => this.#moved(view));
    this.svg.addEventListener("pointerover", (event) => event.pointerType === "mouse" && this.#hintSoon(event.target.closest("[data-seat]")?.dataset.seat));
    this.svg.addEventListener("pointerleave", () => this.#hintSoon(null));
    this.svg.addEventListener("focusout", () => this.#hintSoon(null));
    this.svg.addEventListener("keydown", (event) => this.#key(event));
    this.svg.addEventListener("click", (event) => this.#click(event));
    this.#firstFocus();
  }

  #patterns() {
    return s("defs", {},
      s("pattern", { id: "halftone", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        s("circle", { cx: 2.5, cy: 2.5, r: 1.35, class: "dot" })),
      s("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        s("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "stroke" })),
      s("radialGradient", { id: "warm" }, s("stop", { offset: "0", class: "warm-in" }), s("stop", { offset: "1", class: "warm-out" })),
      s("linearGradient", { id: "beam", x1: 0, y1: 0, x2: 0, y2: 1 }, s("stop", { offset: "0", class: "beam-in" }), s("stop", { offset: "1", class: "warm-out" })));
  }

  #surroundings(home) {
    const { box, layout } = this.chart;
    const [left, right] = [(box.left - 0.6) * PITCH, (box.right + 0.6) * PITCH];
    const middle = (left + right) / 2;
    const y = (box.front - 2) * PITCH;
    const sag = Math.min(26, (right - left) * 0.05);
    const focal = layout.focal_point;
    return s("g", { "aria-hidden": "true" },
      s("path", { d: `M ${left} ${y + sag} Q ${middle} ${y - sag} ${right} ${y + sag} L ${right + 40} ${y + 150} L ${left - 40} ${y + 150} Z`, fill: "url(#beam)", class: "beam" }),
      s("path", { d: `M ${left} ${y + sag} Q ${middle} ${y - sag} ${right} ${y + sag}`, class: "screen" }),
      s("text", { x: middle, y: y - sag - 4, class: "screen-word" }, t("map.screen")),
      s("ellipse", { cx: focal.x * PITCH, cy: focal.y * PITCH, rx: home.width * 0.24, ry: home.height * 0.2, fill: "url(#warm)" }),
      this.#zoneNames());
  }

  #zoneNames() {
    const { layout, seats } = this.chart;
    if (layout.zones.length < 2) return null;
    return layout.zones.map((zone) => {
      const own = [...seats.values()].filter((seat) => seat.zone === zone.key);
      if (!own.length) return null;
      const front = Math.min(...own.map((seat) => seat.y));
      const xs = own.filter((seat) => seat.y === front).map((seat) => seat.x);
      return s("text", { x: ((Math.min(...xs) + Math.max(...xs)) / 2) * PITCH, y: (front - 0.72) * PITCH, class: "zone-word" }, zone.name);
    });
  }

  #row(row) {
    const ends = row.seats.map((seat) => seat.x);
    const y = row.seats[0].y * PITCH + 4;
    for (const x of [Math.min(...ends) - 1.05, Math.max(...ends) + 1.05]) {
      this.letters.push({ row, x: x * PITCH, y, node: s("text", { x: x * PITCH, y, class: "row-letter" }, row.label) });
    }
    return s("g", { role: "group", "aria-label": t("map.row", { row: row.label }) }, row.seats.map((seat) => this.#seat(seat)));
  }

  // Seen from near, the letters of the rows come along to the edge of what is seen.
  #moved(view) {
    const seen = this.svg.clientWidth * view.unit; // more than the view where the frame is wider than the hall
    const [left, right] = [-1, 1].map((side) => view.x + view.width / 2 + side * (seen / 2 - EDGE_PX * view.unit));
    for (const { row, x, y, node } of this.letters) {
      const at = view.near ? Math.min(Math.max(x, left), right) : x;
      const nearest = at === x ? null : row.seats.reduce((best, seat) => (Math.abs(seat.x * PITCH - at) < Math.abs(best.x * PITCH - at) ? seat : best));
      node.setAttribute("x", at);
      node.setAttribute("y", nearest ? nearest.y * PITCH + 4 : y);
    }
    this.#hintSoon(null);
    this.#paintMinimap();
  }

  // What a seat is and costs, beside the pointer or the focus; screen readers hear it from the seat itself.
  #hintSoon(label) {
    clearTimeout(this.hintTimer);
    if (!label) { if (this.hint) this.hint.hidden = true; return; }
    this.hintTimer = setTimeout(() => {
      const seat = this.chart.seats.get(label);
      const { names, price } = this.#facts(seat, this.states.get(label) ?? "free");
      this.hint.replaceChildren(h("b", {}, label), ` ${[...names, price].filter(Boolean).join(" · ")}`);
      this.#beside(this.hint, seat);
    }, HINT_MS);
  }

  #facts(seat, state) {
    const kind = seat.kind === "standard" ? "" : t(`kind.${seat.kind}`);
    const names = [this.names.get(seat.category), kind, ...seat.attrs.map((attribute) => t(`attr.${attribute}`))].filter(Boolean);
    return { names, price: state === "free" ? this.price(seat) : t(`state.${state}`) };
  }

  // Above the seat, or below it where there is no room.
  #beside(note, seat) {
    const { x, y } = this.#at(seat);
    const frame = this.svg.getBoundingClientRect();
    const at = new DOMPoint(x, y).matrixTransform(this.svg.getScreenCTM());
    note.hidden = false;
    const half = note.offsetWidth / 2 + 4;
    const below = at.y - frame.top - 18 < note.offsetHeight + 4;
    note.style.left = `${Math.min(Math.max(at.x - frame.left, half), frame.width - half)}px`;
    note.style.top = `${at.y - frame.top + (below ? 18 + note.offsetHeight : -18)}px`;
  }

  #seat(seat) {
    const { x, y } = this.#at(seat);
    const half = SIZE / 2;
    const glyph = GLYPHS[seat.kind];
    const node = s("g", { class: `seat free ${seat.attrs.join(" ")}`, transform: `translate(${x} ${y})`, "data-seat": seat.seat, role: "button", tabindex: "-1" },
      s("rect", { x: -half, y: -half, width: SIZE, height: SIZE, rx: 7, class: "pad", style: { "--tint": this.colors.get(seat.category) } }),
      s("rect", { x: -half, y: -half, width: SIZE, height: SIZE, rx: 7, class: "veil", fill: "none" }),
      glyph ? s("path", { d: glyph, class: "glyph" }) : s("text", { y: 3.6, class: "number" }, seat.number),
      s("path", { d: CHECK, class: "check" }));
    this.nodes.set(seat.seat, node);
    this.#label(seat.seat, "free", node);
    return node;
  }

  #paint(label, state) {
    const node = this.nodes.get(label);
    const before = this.states.get(label);
    this.states.set(label, state);
    node.classList.remove("free", "mine", "held", "sold", "blocked");
    node.classList.add(state);
    node.children[1].setAttribute("fill", { held: "url(#halftone)", blocked: "url(#hatch)" }[state] ?? "none");
    if (before !== undefined && state !== "mine" && before !== "mine") {
      node.classList.remove("changed");
      void node.getBoundingClientRect();
      node.classList.add("changed");
    }
    this.#label(label, state, node);
  }

  #label(label, state, node) {
    const seat = this.chart?.seats.get(label);
    if (!seat) return;
    const { names, price } = this.#facts(seat, state);
    node.setAttribute("aria-label", [t("map.seat", { row: seat.row, number: seat.number }), ...names, t(`state.${state}`), state === "free" ? price : null].filter(Boolean).join(", "));
    node.setAttribute("aria-pressed", state === "mine" ? "true" : "false");
    if (this.pickable.includes(state)) node.removeAttribute("aria-disabled");
    else node.setAttribute("aria-disabled", "true");
  }

  #firstFocus() {
    const { layout, seats } = this.chart;
    const focal = layout.focal_point;
    const nearest = [...seats.values()].sort((a, b) => Math.hypot(a.x - focal.x, a.y - focal.y) - Math.hypot(b.x - focal.x, b.y - focal.y))[0];
    this.#moveFocus(nearest.seat, false);
  }

  #moveFocus(label, really = true) {
    this.nodes.get(this.focused)?.setAttribute("tabindex", "-1");
    this.focused = label;
    const node = this.nodes.get(label);
    node.setAttribute("tabindex", "0");
    if (!really) return;
    const { x, y } = this.#at(this.chart.seats.get(label));
    this.camera.reveal(x, y, PITCH);
    node.focus({ preventScroll: true });
    this.#hintSoon(label);
  }

  #key(event) {
    const label = event.target.closest("[data-seat]")?.dataset.seat;
    if (event.key.startsWith("Arrow") && label) {
      const next = beside(this.chart.seats, label, event.key);
      if (next) this.#moveFocus(next);
    } else if ((event.key === "Enter" || event.key === " ") && label) this.onPick(label);
    else if (event.key === "+" || event.key === "=") this.camera.zoom(1.4);
    else if (event.key === "-") this.camera.zoom(1 / 1.4);
    else if (event.key === "0") this.camera.reset();
    else return;
    event.preventDefault();
  }

  #click(event) {
    const label = event.target.closest("[data-seat]")?.dataset.seat;
    if (!label) return;
    // A finger is wider than a seat seen from afar: the first tap comes closer, the next one takes.
    if (event.pointerType === "touch" && this.camera.far) {
      this.camera.approach(event);
      return;
    }
    this.#moveFocus(label, false);
    this.onPick(label);
  }

  #buttons() {
    const button = (sign, name, act) => h("button", { type: "button", class: "round", "aria-label": name, onclick: act }, sign);
    return h("div", { class: "zoom-buttons" },
      button("+", t("map.zoom_in"), () => this.camera.zoom(1.5, this.#ours())),
      button("−", t("map.zoom_out"), () => this.camera.zoom(1 / 1.5)),
      button("⤢", t("map.zoom_reset"), () => this.camera.reset()));
  }

  // The middle of one's own seats, so that coming closer does not lose them.
  #ours() {
    const own = [...this.mine].map((label) => this.#at(this.chart.seats.get(label)));
    const mean = (name) => own.reduce((sum, at) => sum + at[name], 0) / own.length;
    return own.length ? { x: mean("x"), y: mean("y") } : undefined;
  }

  #paintMinimap() {
    if (!this.minimap || !this.camera) return;
    this.minimap.hidden = !this.camera.zoomed;
    if (!this.camera.zoomed) return;
    const context = this.minimap.getContext("2d");
    const scale = this.minimap.width / this.home.width;
    const style = getComputedStyle(this.minimap);
    const tint = { free: style.getPropertyValue("--soft"), mine: style.getPropertyValue("--amber") };
    context.clearRect(0, 0, this.minimap.width, this.minimap.height);
    for (const seat of this.chart.seats.values()) {
      context.fillStyle = tint[this.states.get(seat.seat)] ?? style.getPropertyValue("--line");
      const { x, y } = this.#at(seat);
      context.fillRect((x - this.home.x) * scale - 1.5, (y - this.home.y) * scale - 1.5, 3, 3);
    }
    const { box } = this.camera;
    context.strokeStyle = style.getPropertyValue("--ink");
    context.strokeRect((box.x - this.home.x) * scale, (box.y - this.home.y) * scale, box.width * scale, box.height * scale);
  }
}
