// The day of a theatre: its showtimes, how full they are as it changes, and whether they are on sale.

import { get, ProblemError, post } from "../../api.js";
import { h, skeleton, toast } from "../../dom.js";
import { choice } from "../../form.js";
import { clockTime, longDay, t } from "../../i18n.js";
import { watchLobby } from "../../live/channel.js";
import { every } from "../../pages/lobby.js";

export async function show(main, _parts, { open }) {
  const query = new URLSearchParams(location.search);
  const done = skeleton(main, 6);
  const theatres = (await every("/admin/theatres?"));
  const theatre = theatres.find((one) => one.id === query.get("theatre")) ?? theatres[0];
  const day = query.get("date") ?? today(theatre?.time_zone);
  const showtimes = theatre ? await every(`/admin/showtimes?theatre_id=${theatre.id}&date=${day}`) : [];
  done();
  const go = (change) => open(`/admin?${new URLSearchParams({ theatre: theatre.id, date: day, ...change })}`);
  const filters = h("form", { class: "filters-row" },
    choice("theatre", t("admin.theatre"), theatres.map((one) => [one.id, `${one.name}, ${one.city}`]), theatre?.id),
    h("div", { class: "field" }, h("label", { for: "f-date" }, t("admin.date")), h("input", { id: "f-date", type: "date", value: day, onchange: ({ target }) => target.value && go({ date: target.value }) })));
  filters.theatre?.addEventListener("change", ({ target }) => go({ theatre: target.value }));
  const counts = new Map();
  main.replaceChildren(h("section", { class: "wide" }, h("h1", {}, theatre ? `${theatre.name}, ${longDay(day)}` : t("admin.showtimes")), filters,
    showtimes.length ? table(showtimes, counts) : h("p", { class: "empty" }, t("lobby.nothing"))));
  return watchLobby((free) => { for (const [id, seats] of Object.entries(free)) counts.get(id)?.(seats); });
}

// The cinema's day begins at six in the morning.
function today(timeZone = "UTC") {
  return new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }).format(Date.now() - 6 * 3_600_000);
}

// On a phone its rows are drawn as cards, which takes a table's meaning away: the roles say it again.
function table(showtimes, counts) {
  const head = ["time", "film", "screen", "occupancy", "sales"].map((name) => h("th", { scope: "col", role: "columnheader" }, t(`admin.${name}`)));
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("admin.showtimes") },
    h("table", { class: "ledger days-work", role: "table" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), h("tbody", { role: "rowgroup" }, showtimes.map((showtime) => row(showtime, counts)))));
}

function row(showtime, counts) {
  const bar = h("span", { class: "bar-fill" });
  const words = h("span", { class: "bar-words" });
  const update = (free) => {
    const taken = showtime.capacity - free;
    bar.style.setProperty("--part", showtime.capacity ? taken / showtime.capacity : 0);
    words.textContent = t("admin.taken", { taken, capacity: showtime.capacity });
  };
  counts.set(showtime.id, update);
  update(showtime.free_seats);
  return h("tr", { class: showtime.status, role: "row" },
    h("td", { class: "figure", role: "cell" }, clockTime(showtime.starts_at_local)),
    h("th", { scope: "row", role: "rowheader" }, h("a", { href: `/admin/showtimes/${showtime.id}`, "data-link": true }, showtime.movie.title), " ", h("small", {}, showtime.format)),
    h("td", { class: "screen-name", role: "cell" }, showtime.screen.name), h("td", { class: "occupancy", role: "cell" }, h("span", { class: "bar-line", "aria-hidden": "true" }, bar), words),
    h("td", { class: "sales", role: "cell" }, sale(showtime)));
}

// Whether it is on sale, and the button that changes that.
export function sale(showtime, onChange = () => {}) {
  const place = h("span", { class: "sale" });
  const draw = () => {
    const over = ["cancelled", "completed", "running", "draft"].includes(showtime.status);
    const closed = ["closed", "not_open"].includes(showtime.sales);
    place.replaceChildren(h("span", {}, over ? t(`admin.status_${showtime.status}`) : t(closed ? `admin.sales_${showtime.sales}` : "admin.sales_open")),
      over ? "" : h("button", { type: "button", class: "button small", "aria-label": `${t(closed ? "admin.open_sales" : "admin.close_sales")}, ${showtime.movie.title}`, onclick: change }, t(closed ? "admin.open_sales" : "admin.close_sales")));
  };
  const change = async () => {
    const verb = ["closed", "not_open"].includes(showtime.sales) ? "open" : "close";
    try {
      const { status, sales } = await post(`/admin/showtimes/${showtime.id}/sales/${verb}`, {});
      Object.assign(showtime, { status, sales });
      draw();
      onChange();
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      toast(error.message, "refused");
    }
  };
  draw();
  return place;
}
