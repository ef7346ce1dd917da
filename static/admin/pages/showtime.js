// A showtime from the house's side: the map to block and free seats on, who holds what, and the end of it all.

import { accessToken, call, distrust, get, post } from "../../api.js";
import { h, skeleton } from "../../dom.js";
import { choice, field, form } from "../../form.js";
import { clockTime, listed, longDay, moment, money, t } from "../../i18n.js";
import { Channel, hasMoved } from "../../live/channel.js";
import { SeatMap } from "../../map/seatmap.js";
import { sale } from "./day.js";

const KINDS = ["house", "broken", "tech", "accessible", "channel"];
const TILL = "box_office"; // who sells an allotment when nobody is named
const LOOK_MS = 1_500;

export async function show(main, [id], { open }) {
  const done = skeleton(main, 3);
  const showtime = await get(`/admin/showtimes/${id}`);
  const layout = await get(`/layouts/${showtime.layout_id}`);
  done();
  const page = new Backstage(showtime, layout, open);
  main.replaceChildren(page.element);
  page.begin();
  return () => page.leave();
}

class Backstage {
  constructor(showtime, layout, open) {
    Object.assign(this, { showtime, layout, open });
    this.chosen = new Set();
    this.place = h("div", { class: "map-place" });
    this.counts = h("ul", { class: "counts" });
    this.picked = h("p", { class: "hint", role: "status" }, t("admin.pick"));
    this.holders = h("div", { class: "holders" });
    this.keptBack = h("div", { class: "holders" });
    this.ending = h("div", {});
    this.state = h("p", { class: "live-state", role: "status" });
    this.element = h("section", { class: "wide backstage" },
      h("h1", {}, showtime.movie.title),
      h("p", { class: "facts" }, `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)} · ${showtime.theatre.name}, ${showtime.screen.name} · ${showtime.format}`),
      h("div", { class: "backstage-columns" }, h("div", {}, this.counts, this.place, this.state),
        h("aside", {}, part("admin.sales", sale(showtime)), part("admin.seats", this.picked, this.seatForm()), part("admin.kept", this.keptBack), part("admin.holders", this.holders), part("admin.end", this.ending))));
  }

  begin() {
    this.map = new SeatMap(this.place, this.layout, { onPick: (label) => this.pick(label), pickable: ["free", "mine", "blocked"] });
    this.channel = new Channel(this.showtime.id, {
      token: accessToken, distrust, get, onMine: () => {}, onView: (view) => this.see(view), onMoved: () => this.moved(),
      onState: (state) => { this.state.textContent = state === "open" ? "" : t(`connection.${state}`); },
    });
    if (this.showtime.status === "cancelled") this.progress();
    else this.ending.replaceChildren(this.endForm());
  }

  // Another time or hall: the page as it is now.
  async moved() {
    const now = await get(`/admin/showtimes/${this.showtime.id}`).catch(() => null);
    if (!this.left && now && hasMoved(this.showtime, now)) this.open(location.pathname);
  }

  leave() {
    this.left = true;
    clearTimeout(this.timer);
    this.channel.close();
  }

  see(view) {
    this.view = view;
    for (const label of this.chosen) if (["held", "sold"].includes(view.seats.get(label))) this.chosen.delete(label);
    this.paint();
    this.counts.replaceChildren(...["free", "held", "sold", "blocked"].map((name) => h("li", {}, h("span", { class: `swatch ${name}`, "aria-hidden": "true" }), h("b", {}, view.counts[name]), " ", t(`state.${name}`))));
    this.lookBackstage();
    if (view.status === "cancelled" && !this.ended) this.progress();
  }

  paint() {
    this.map.show(this.view.seats, this.chosen);
    this.picked.textContent = this.chosen.size ? t("admin.picked", { seats: listed([...this.chosen]) }) : t("admin.pick");
  }

  pick(label) {
    const state = this.view.seats.get(label);
    if (["held", "sold"].includes(state)) { this.map.explain([label], t(`why.${state}`, { seat: label })); return; }
    if (!this.chosen.delete(label)) this.chosen.add(label);
    this.paint();
  }

  seatForm() {
    const change = async (body) => {
      const { results } = await call("PUT", `/admin/showtimes/${this.showtime.id}/seats`, body, { key: crypto.randomUUID() });
      this.chosen.clear();
      this.paint();
      const refused = results.filter((one) => one.result === "refused").map((one) => one.seat);
      return refused.length ? t("admin.stayed", { seats: listed(refused) }) : t("account.saved");
    };
    const kind = choice("kind", t("admin.kind"), KINDS.map((each) => [each, t(`admin.kind_${each}`)]), "house");
    const reason = field("reason", t("admin.reason"), { required: false, maxlength: 200 });
    const until = field("until", t("admin.block_until"), { type: "datetime-local", required: false });
    kind.addEventListener("change", ({ target }) => {
      const allots = target.value === "channel"; // an allotment is for somebody, and has no end of its own
      reason.querySelector("label").textContent = t(allots ? "admin.allot_to" : "admin.reason");
      Object.assign(reason.querySelector("input"), { placeholder: allots ? TILL : "", maxLength: allots ? 64 : 200 });
      until.hidden = allots;
    });
    return form({ class: "rows" }, (wish) => this.chosen.size ? change({ ...this.kept(wish), unblock: this.blocked() }) : t("admin.pick"),
      kind, reason, until,
      h("div", { class: "cart-acts" }, h("button", { type: "submit", class: "button" }, t("admin.switch_seats"))));
  }

  // Those of the chosen seats that are free are kept from the public, for the house or for a sales channel.
  kept({ kind, reason, until }) {
    const seats = [...this.chosen].filter((seat) => this.view.seats.get(seat) !== "blocked");
    if (!seats.length) return {};
    if (kind === "channel") return { channel: { [reason.trim().replace(/\s+/g, " ") || TILL]: seats } };
    return { block: seats.map((seat) => ({ seat, kind, reason, ...(until && { release_at: new Date(until).toISOString() }) })) };
  }

  blocked() { return [...this.chosen].filter((seat) => this.view.seats.get(seat) === "blocked"); }

  // Who holds what is asked for anew when the map has changed, at most once in a while.
  lookBackstage() {
    if (this.timer) return;
    this.timer = setTimeout(async () => {
      this.timer = null;
      const { holds, unpaid, blocked, channel } = await get(`/admin/showtimes/${this.showtime.id}/live`).catch(() => ({ holds: [], unpaid: [], blocked: [], channel: {} }));
      if (this.left) return;
      const kept = [...alike(blocked).map((seats) => this.block(seats)), ...Object.entries(channel).map(([key, seats]) => this.keptRow(seats, t("admin.allotted", { channel: key })))];
      this.keptBack.replaceChildren(kept.length ? h("ul", { class: "devices" }, kept) : h("p", { class: "hint" }, t("admin.kept_none")));
      const rows = [...holds.map((hold) => this.holder(hold)), ...unpaid.map((one) => h("li", {}, h("b", {}, listed(one.seats)), h("span", { class: "hint" }, t("admin.unpaid", { reference: one.reference }))))];
      this.holders.replaceChildren(rows.length ? h("ul", { class: "devices" }, rows) : h("p", { class: "hint" }, t("admin.nobody")));
    }, LOOK_MS / 3);
  }

  block(seats) {
    const { kind, reason, release_at } = seats[0];
    const until = release_at && t("admin.until", { at: moment(release_at, this.showtime.theatre.time_zone) });
    return this.keptRow(seats.map(({ seat }) => seat), [t(`admin.kind_${kind}`), reason, until].filter(Boolean).join(" · "));
  }

  keptRow(seats, why) { return h("li", {}, h("div", {}, h("b", {}, runs(this.layout.rows, seats)), h("p", { class: "hint" }, why))); }

  holder(hold) {
    const release = () => post(`/admin/showtimes/${this.showtime.id}/holds/${hold.hold_id}/release`, {}).catch(() => null);
    return h("li", {}, h("div", {}, h("b", {}, listed(hold.seats)), h("p", { class: "hint" }, t("admin.until", { at: moment(hold.expires_at, this.showtime.theatre.time_zone) }))),
      h("button", { type: "button", class: "button small", "aria-label": t("admin.release_of", { seats: listed(hold.seats) }), onclick: release }, t("admin.release")));
  }

  endForm() {
    const key = crypto.randomUUID();
    return form({ class: "rows" }, async ({ why }) => {
      await call("POST", `/admin/showtimes/${this.showtime.id}/cancel`, { reason: why, refund: true }, { key });
      this.progress();
    },
      field("why", t("admin.end_reason"), { maxlength: 200 }),
      h("label", { class: "check" }, h("input", { type: "checkbox", required: true }), t("admin.end_sure")),
      h("div", { class: "cart-acts" }, h("button", { type: "submit", class: "button danger" }, t("admin.end_yes"))));
  }

  // How far the refunds are, until none is under way.
  async progress() {
    this.ended = true;
    const now = await get(`/admin/showtimes/${this.showtime.id}/cancellation`).catch(() => null);
    if (this.left) return;
    if (now) {
      const done = now.refunded + now.failed;
      this.ending.replaceChildren(h("p", { role: "status" }, t("admin.ended", { count: now.bookings, amount: money(now.amount) })),
        h("progress", { max: Math.max(1, done + now.pending), value: done + now.pending ? done : 1, "aria-label": t("admin.refunds") }),
        h("p", { class: "hint" }, t("admin.progress", { refunded: now.refunded, pending: now.pending, failed: now.failed })));
      if (!now.pending) return;
    }
    setTimeout(() => { if (!this.left) this.progress(); }, LOOK_MS);
  }
}

// Seats by row, neighbours as one: B1–B12.
function runs(rows, seats) {
  const wanted = new Set(seats);
  const found = [];
  for (const row of rows) {
    let run = [];
    const end = () => { found.push(...(run.length > 2 ? [`${run[0]}–${run.at(-1)}`] : run)); run = []; };
    for (const { seat } of row.seats) wanted.has(seat) ? run.push(seat) : end();
    end();
  }
  return listed(found);
}

// Seats that are blocked for the same reason and time belong together.
function alike(blocked) {
  const groups = new Map();
  for (const seat of blocked) {
    const key = JSON.stringify([seat.kind, seat.reason, seat.release_at]);
    groups.set(key, [...(groups.get(key) ?? []), seat]);
  }
  return [...groups.values()];
}

function part(key, ...content) {
  return h("section", { class: "panel", "aria-label": t(key) }, h("h2", {}, t(key)), ...content);
}
