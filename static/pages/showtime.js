// Choosing seats: the live map, the own hold with its countdown, and the way to the till.

import { accessToken, call, distrust, get, me, onSession, post, ProblemError, somebody } from "../api.js";
import { rules } from "../bill.js";
import { h, s, say, skeleton, toast } from "../dom.js";
import { clockTime, listed, longDay, money, t } from "../i18n.js";
import { Channel, hasMoved } from "../live/channel.js";
import { party } from "../map/geometry.js";
import { GLYPHS, SeatMap } from "../map/seatmap.js";
import { ring } from "../ring.js";
import { till, warn } from "../till.js";

const ASK_AGAIN_MS = 1_500; // not everybody at once

export async function show(main, [id], { open }) {
  const done = skeleton(main, 2);
  const showtime = await get(`/showtimes/${id}`);
  const layout = await get(`/layouts/${showtime.layout_id}`);
  done();
  const visit = new Visit(showtime, layout, open);
  main.replaceChildren(visit.page());
  visit.begin();
  return () => visit.end();
}

class Visit {
  constructor(showtime, layout, open) {
    Object.assign(this, { showtime, layout, open });
    this.hold = null;
    this.size = 2;
    this.busy = false;
    this.placed = false;
    this.turn = Promise.resolve();
    this.prices = new Map(showtime.prices.map((price) => [`${price.category}|${price.ticket_type}`, price]));
    this.types = [...new Set(showtime.prices.map((price) => price.ticket_type))];
  }

  page() {
    const { showtime } = this;
    this.mapPlace = h("div", { class: "map-place" });
    this.cart = h("aside", { class: "cart", "aria-label": t("cart.label") });
    this.state = h("p", { class: "live-state", role: "status" });
    this.count = h("span", { class: "count" });
    return h("div", { class: "showtime wide" },
      h("header", { class: "showtime-head" },
        h("h1", {}, h("a", { href: `/movies/${showtime.movie.id}`, "data-link": true }, showtime.movie.title)),
        h("p", { class: "facts" }, `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)} · ${showtime.theatre.name}, ${showtime.screen.name} · ${showtime.format} · ${showtime.language}`)),
      h("div", { class: "stage" }, h("div", { class: "tools" }, this.partyPicker(), this.count), h("div", { class: "map-stand" }, this.mapPlace, this.state), this.legend()),
      this.cart);
  }

  begin() {
    this.map = new SeatMap(this.mapPlace, this.layout, { onPick: (label) => this.pick(label), price: (seat) => money(this.price(seat.category)) });
    this.channel = new Channel(this.showtime.id, {
      token: accessToken, distrust, get,
      onView: (view) => this.see(view),
      onMine: (frame) => this.own(frame),
      onState: (state) => this.connection(state),
      onMoved: () => { clearTimeout(this.asking); this.asking = setTimeout(() => this.moved(), ASK_AGAIN_MS * Math.random()); },
    });
    this.person = me()?.id;
    this.deaf = onSession(() => this.recognised());
    this.drawCart();
  }

  // Who signs in, here or in another window, brings along what is held, and the socket has to know.
  recognised() {
    const person = me()?.id;
    if (person !== this.person && this.channel.ready) this.channel.signIn();
    this.person = person;
  }

  // Another time or hall: who stands at the till is told there, and everybody else sees the page as it is now.
  async moved() {
    const now = await get(`/showtimes/${this.showtime.id}`).catch(() => null);
    if (this.left || !now || !hasMoved(this.showtime, now)) return;
    const words = t("showtime.moved", { day: longDay(now.starts_at_local), time: clockTime(now.starts_at_local), screen: `${now.theatre.name}, ${now.screen.name}` });
    toast(words);
    say(words);
    this.outdated = true;
    Object.assign(this.showtime, now);
    if (this.dialog) this.dialog.dispatchEvent(new Event("moved"));
    else this.openAnew();
  }

  openAnew() { this.open(location.pathname + location.search); }

  end() {
    this.left = true;
    clearTimeout(this.asking);
    this.ring?.stop();
    this.deaf();
    this.channel.close();
  }

  partyPicker() {
    const max = Math.min(this.showtime.max_seats, 10);
    this.size = Math.min(this.size, max);
    const value = h("output", { class: "party-size", "aria-live": "polite" }, this.size);
    const step = (by) => { this.size = Math.min(max, Math.max(1, this.size + by)); value.textContent = this.size; };
    const best = h("button", { type: "button", class: "button quiet best", onclick: () => wait(this.inTurn(() => this.best())) }, t("party.best"));
    const wait = (done) => { best.setAttribute("aria-busy", "true"); done.finally(() => best.removeAttribute("aria-busy")); };
    return h("div", { class: "party" },
      h("span", { class: "party-label" }, t("party.label")),
      h("button", { type: "button", class: "round", "aria-label": t("party.fewer"), onclick: () => step(-1) }, "−"), value,
      h("button", { type: "button", class: "round", "aria-label": t("party.more"), onclick: () => step(1) }, "+"),
      best);
  }

  legend() {
    const swatch = (state) => h("li", {}, h("span", { class: `swatch ${state}`, "aria-hidden": "true" }), t(`state.${state}`));
    const seats = this.layout.rows.flatMap((row) => row.seats);
    const used = new Set(seats.map((seat) => seat.category));
    const kinds = Object.keys(GLYPHS).filter((kind) => seats.some((seat) => seat.kind === kind));
    const half = seats.some((seat) => seat.attrs.includes("restricted_view"));
    return h("div", { class: "legend" },
      h("ul", { class: "categories" }, this.layout.categories.filter((category) => used.has(category.key)).map((category) =>
        h("li", {}, h("span", { class: "swatch line", style: { "--tint": category.color }, "aria-hidden": "true" }), category.name, " ", h("b", {}, money(this.price(category.key)))))),
      h("ul", { class: "states" }, ["free", "mine", "held", "sold", "blocked"].map(swatch),
        kinds.map((kind) => h("li", {}, h("span", { class: "swatch kind", "aria-hidden": "true" }, s("svg", { viewBox: "-11 -11 22 22" }, s("path", { d: GLYPHS[kind] }))), t(`kind.${kind}`))),
        half ? h("li", {}, h("span", { class: "swatch half", "aria-hidden": "true" }), t("attr.restricted_view")) : null));
  }

  price(category, type = this.showtime.default_ticket_type) {
    const price = this.prices.get(`${category}|${type}`);
    return { amount: price.total, currency: price.currency };
  }

  see(view) {
    this.view = view;
    this.paint();
    const { status, sales, counts } = view;
    const open = status !== "cancelled" && !["closed", "not_open"].includes(sales);
    this.count.textContent = open ? t("free", { count: counts.free }) : t(`sales.${status === "cancelled" ? "cancelled" : sales}`);
    if (!open) this.state.textContent = t(`closed.${status === "cancelled" ? "cancelled" : sales}`);
  }

  paint() {
    if (this.view) this.map.show(this.view.seats, new Set(this.hold?.seats.map((line) => line.seat) ?? []));
  }

  own({ holds }) {
    if (this.busy || this.placed) return;
    this.setHold(holds[0] ?? null);
  }

  connection(state) {
    this.state.textContent = state === "open" ? "" : t(`connection.${state}`);
    this.mapPlace.classList.toggle("stale", !["open", "looking"].includes(state));
  }

  setHold(hold) {
    this.hold = hold;
    this.ring?.stop();
    this.ring = hold && ring({ until: Date.parse(hold.expires_at), whole: this.showtime.hold_ttl_s, now: () => this.channel.now(),
      onLast: () => this.late(), onEnd: () => this.expired() });
    this.map.setPending([]);
    this.paint();
    this.drawCart();
  }

  late() {
    if (this.placed) return;
    warn(this.cart, this.hold.renewals_left > 0 ? () => this.inTurn(() => this.hold && this.renew()) : null);
  }

  expired() {
    if (this.placed) return;
    toast(t("hold.expired"));
    say(t("hold.expired"));
    this.setHold(null);
  }

  pick(label) {
    return this.inTurn(() => this.picked(label));
  }

  // What is clicked while the server still answers is done next, with the seats as they are then.
  inTurn(work) {
    const done = this.turn.then(() => (this.placed ? null : work()));
    this.turn = done.catch(() => null);
    return done;
  }

  async picked(label) {
    const own = this.hold?.seats.map((line) => line.seat) ?? [];
    if (own.includes(label)) return own.length === 1 ? this.release() : this.change([], [label]);
    if (!this.map.isFree(label)) {
      const state = this.view.seats.get(label);
      this.map.explain([label], t(`why.${state}`, { seat: label }));
      say(t(`why.${state}`, { seat: label }));
      return null;
    }
    const room = this.size - own.length;
    const wanted = party(this.map.chart.seats, label, room > 0 ? room : this.size, this.map.isFree);
    if (!this.hold) return this.holdSeats(wanted);
    return this.change(wanted, room > 0 ? [] : own);
  }

  // Pending at once; the server's word, when it comes, is what stays.
  async act(pending, work) {
    this.busy = true;
    this.map.setPending(pending);
    try {
      await somebody();
      if (!this.channel.ready) await this.channel.signIn();
      const hold = await work();
      this.setHold(hold);
      if (hold) say(t("hold.yours", { seats: listed(hold.seats.map((line) => line.seat)) }));
    } catch (error) {
      this.map.setPending([]);
      if (!(error instanceof ProblemError)) throw error;
      this.refused(error);
    } finally {
      this.busy = false;
    }
  }

  refused(error) {
    const seats = error.body.conflicts?.map((conflict) => conflict.seat) ?? error.body.orphans ?? [];
    const others = error.body.suggestions?.[0] ?? (error.code === "seats_unavailable" ? this.near(seats[0], seats) : []);
    const words = others.length ? `${error.message} ${t("suggest", { seats: listed(others) })}` : error.message;
    if (seats.length) this.map.explain(seats, words);
    else toast(words, "refused");
    if (others.length) this.map.suggest(others);
    say(words);
    if (error.code === "hold_expired") this.setHold(null);
  }

  // The nearest seats of the same row that would do instead.
  near(label, lost) {
    const { seats } = this.map.chart;
    const from = seats.get(label);
    if (!from) return [];
    const free = (seat) => this.map.isFree(seat) && !lost.includes(seat);
    const row = [...seats.values()].filter((seat) => seat.row === from.row && seat.zone === from.zone && free(seat.seat));
    row.sort((a, b) => Math.abs(a.x - from.x) - Math.abs(b.x - from.x));
    for (const seat of row) {
      const run = party(seats, seat.seat, this.size, free);
      if (run.length === this.size) return run;
    }
    return [];
  }

  // Over the socket when it is there, else over REST: the same key, the same command.
  async ask(frame, overRest) {
    const answer = await this.channel.request(frame);
    if (answer === null) return overRest();
    if (!answer.ok) throw new ProblemError(answer.status, answer);
    return answer;
  }

  holdSeats(seats) {
    const key = crypto.randomUUID();
    return this.act(seats, () => this.ask({ type: "hold", key, seats }, () => post(`/showtimes/${this.showtime.id}/holds`, { seats }, key)));
  }

  best() {
    const key = crypto.randomUUID();
    const best_available = { count: this.size };
    return this.act([], async () => {
      if (this.hold) await this.letGo();
      return this.ask({ type: "hold", key, best_available }, () => post(`/showtimes/${this.showtime.id}/holds`, { best_available }, key));
    });
  }

  change(add, remove) {
    const { hold_id } = this.hold;
    const body = { ...(add.length && { add }), ...(remove.length && { remove }) };
    return this.act(add, () => this.ask({ type: "change", hold_id, ...body }, () => call("PATCH", `/holds/${hold_id}`, body)));
  }

  setType(seat, type) {
    return this.act([], () => call("PATCH", `/holds/${this.hold.hold_id}`, { ticket_types: { [seat]: type } }));
  }

  release() {
    return this.act([], async () => { await this.letGo(); return null; });
  }

  letGo() {
    const { hold_id } = this.hold;
    return this.ask({ type: "release", hold_id }, () => call("DELETE", `/holds/${hold_id}`));
  }

  async renew() {
    const { hold_id } = this.hold;
    return this.act([], async () => {
      const renewed = await this.ask({ type: "renew", hold_id }, () => post(`/holds/${hold_id}/renew`, {}));
      return { ...this.hold, expires_at: renewed.expires_at, renewals_left: renewed.renewals_left };
    });
  }

  drawCart() {
    const { hold } = this;
    this.cart.classList.toggle("full", Boolean(hold));
    if (!hold) {
      this.cart.replaceChildren(h("h2", {}, t("cart.title")), h("p", { class: "hint" }, t("cart.hint")));
      return;
    }
    this.cart.replaceChildren(
      h("div", { class: "cart-head" }, h("h2", {}, t("cart.yours", { count: hold.seats.length })), this.ring.element, this.unfold()),
      h("ul", { class: "lines" }, hold.seats.map((line) => this.line(line))),
      h("p", { class: "total" }, h("span", {}, t("cart.total")), h("b", {}, money(hold.total))),
      h("p", { class: "hint" }, t("cart.all_in")),
      h("div", { class: "cart-acts" },
        h("button", { type: "button", class: "button act", onclick: () => this.checkout() }, t("cart.pay")),
        hold.renewals_left > 0 ? h("button", { type: "button", class: "button quiet", onclick: () => this.inTurn(() => this.hold && this.renew()) }, t("cart.renew")) : null,
        h("button", { type: "button", class: "plain", onclick: () => this.inTurn(() => this.hold && this.release()) }, t("cart.release"))));
  }

  // On a phone the lines stay folded away, so that the map stays in view.
  unfold() {
    const button = h("button", { type: "button", class: "round small unfold", "aria-label": t("cart.lines"), onclick: () => show(!this.cart.classList.contains("unfolded")) }, "⌃");
    const show = (open) => { this.cart.classList.toggle("unfolded", open); button.setAttribute("aria-expanded", String(open)); };
    show(this.cart.classList.contains("unfolded"));
    return button;
  }

  line(line) {
    const seat = this.map.chart.seats.get(line.seat);
    const types = this.types.filter((type) => this.prices.has(`${line.category}|${type}`));
    return h("li", {},
      h("span", { class: "seat-name" }, h("b", {}, line.seat), " ", h("small", {}, this.map.names.get(seat.category)), rules(line)),
      h("select", { "aria-label": t("cart.type", { seat: line.seat }), onchange: ({ target }) => this.inTurn(() => this.hold && this.setType(line.seat, target.value)) },
        types.map((type) => h("option", { value: type, selected: type === line.ticket_type }, t(`type.${type}`)))),
      h("span", { class: "price" }, money(line.total)),
      h("button", { type: "button", class: "round small", "aria-label": t("cart.remove", { seat: line.seat }), onclick: () => this.pick(line.seat) }, "×"));
  }

  checkout() {
    this.dialog = till({ showtime: this.showtime, hold: this.hold, now: () => this.channel.now(), open: this.open,
      renew: async () => { await this.inTurn(() => this.hold && this.renew()); return this.hold; },
      onPlaced: () => { this.placed = true; },
      onClosed: (leaves) => {
        this.dialog = null;
        if (this.placed) this.setHold(null);
        this.placed = false;
        if (this.outdated && !leaves) this.openAnew();
      } });
  }
}
