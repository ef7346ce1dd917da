// The lobby: what plays where on which day, with free seats that move while you look.

import { get } from "../api.js";
import { h, skeleton } from "../dom.js";
import { clockTime, money, shortDay, t } from "../i18n.js";
import { watchLobby } from "../live/channel.js";
import { poster } from "../posters.js";

export async function show(main, _parts, { open }) {
  const query = new URLSearchParams(location.search);
  const done = skeleton(main, 8);
  const facets = await get("/showtimes/facets");
  const days = facets.dates.map((date) => date.date ?? date);
  const day = days.includes(query.get("date")) ? query.get("date") : days[0];
  const city = query.get("city") ?? "";
  const [showtimes, films] = await Promise.all([
    day ? every(`/showtimes?date=${day}${city ? `&city=${encodeURIComponent(city)}` : ""}`) : [], every("/movies?")]);
  const known = new Map(films.map((film) => [film.id, film]));
  done();
  const go = (change) => {
    const next = new URLSearchParams({ ...Object.fromEntries(query), ...change });
    for (const [name, value] of [...next]) if (!value) next.delete(name);
    open(`/?${next}`);
  };
  const counts = new Map();
  const cards = byFilm(showtimes, known).map((film) => ({ card: filmCard(film, counts), names: plain(names(film)) }));
  const none = h("p", { class: "empty", role: "status", hidden: true });
  const find = h("input", { type: "search", id: "find", class: "seek", value: query.get("q") ?? "", placeholder: t("lobby.find"), "aria-label": t("lobby.find"), autocomplete: "off", spellcheck: "false" });
  // What is sought stays in the address, so that it is still there on another day and on the way back.
  const seek = () => {
    const words = find.value.trim();
    if (words) query.set("q", words); else query.delete("q");
    for (const { card, names: said } of cards) card.hidden = !plain(words).split(/\s+/).every((word) => said.includes(word));
    none.hidden = !words || cards.some(({ card }) => !card.hidden);
    none.textContent = none.hidden ? "" : t("lobby.not_found", { words });
  };
  find.addEventListener("input", () => { seek(); history.replaceState(history.state, "", `/?${query}`); });
  main.replaceChildren(
    h("section", { class: "hero wide" }, h("h1", {}, t("lobby.title")), h("p", { class: "lead" }, t("lobby.lead"))),
    h("section", { class: "filters wide" }, dayStrip(days, day, (date) => go({ date })),
      h("div", { class: "where" }, cityPicker(facets.cities, city, (name) => go({ city: name })), showtimes.length ? find : null)),
    h("section", { class: "films wide", "aria-label": t("lobby.films") },
      showtimes.length ? cards.map(({ card }) => card) : h("p", { class: "empty" }, t("lobby.nothing"))), none);
  seek();
  return watchLobby((free) => {
    for (const [id, seats] of Object.entries(free)) counts.get(id)?.(seats);
  });
}

export async function every(path) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(`${path}&limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return items;
}

export function dayStrip(days, chosen, choose) {
  return h("div", { class: "days", role: "group", "aria-label": t("lobby.day") }, days.map((day) => {
    const { weekday, date } = shortDay(day);
    return h("button", { type: "button", id: `day-${day}`, class: "day", "aria-pressed": String(day === chosen), onclick: () => choose(day) }, h("b", {}, weekday), h("span", {}, date));
  }));
}

function cityPicker(cities, chosen, choose) {
  const names = cities.map((city) => city.city ?? city.name ?? city);
  return h("div", { class: "cities", role: "group", "aria-label": t("lobby.city") }, ["", ...names].map((name) =>
    h("button", { type: "button", id: `city-${name}`, class: "chip", "aria-pressed": String(name === chosen), onclick: () => choose(name) }, name || t("lobby.everywhere"))));
}

// A showtime names its film in short; the poster needs all of it.
function byFilm(showtimes, known) {
  const films = new Map();
  for (const showtime of showtimes) {
    const film = films.get(showtime.movie.id) ?? { ...showtime.movie, ...known.get(showtime.movie.id), theatres: new Map() };
    const theatre = film.theatres.get(showtime.theatre.id) ?? { ...showtime.theatre, showtimes: [] };
    theatre.showtimes.push(showtime);
    film.theatres.set(theatre.id, theatre);
    films.set(film.id, film);
  }
  return [...films.values()].sort((a, b) => a.title.localeCompare(b.title));
}

// Whatever somebody may remember of a film: also who made it, and where it runs.
const names = (film) => [film.title, film.director, ...(film.genres ?? []), ...(film.cast ?? []), ...[...film.theatres.values()].flatMap((house) => [house.name, house.city])].join(" ");

// Without accents and capitals, as one types in a hurry.
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function filmCard(film, counts) {
  return h("article", { class: "film" },
    h("a", { href: `/movies/${film.id}`, "data-link": true, class: "film-poster", tabindex: "-1", "aria-hidden": "true" }, art(film)),
    h("div", { class: "film-text" },
      h("h2", {}, h("a", { href: `/movies/${film.id}`, "data-link": true }, film.title)),
      h("p", { class: "facts" }, [film.genres?.[0], t("minutes", { count: film.duration_minutes }), film.certificate].filter(Boolean).join(" · ")),
      [...film.theatres.values()].map((theatre) => h("div", { class: "house" },
        h("h3", {}, theatre.name, " ", h("span", {}, theatre.city)),
        h("div", { class: "times" }, theatre.showtimes.map((showtime) => timeButton(showtime, counts)))))));
}

export function art(film) {
  return film.poster_url ? h("img", { src: film.poster_url, alt: film.title, class: "poster", loading: "lazy" }) : poster(film);
}

export function timeButton(showtime, counts) {
  const free = h("span", { class: "free" });
  const link = h("a", { href: `/showtimes/${showtime.id}`, "data-link": true, class: "time" },
    h("b", {}, clockTime(showtime.starts_at_local)), h("span", { class: "format" }, showtime.format), free);
  const update = (seats) => {
    const closed = ["closed", "not_open"].includes(showtime.sales) || showtime.status === "cancelled";
    const few = seats <= Math.max(5, Math.floor(showtime.capacity / 10));
    link.classList.toggle("over", closed || seats === 0);
    link.classList.toggle("few", few && seats > 0 && !closed);
    free.textContent = closed ? t(`sales.${showtime.status === "cancelled" ? "cancelled" : showtime.sales}`) : seats === 0 ? t("sales.sold_out") : few ? t("few", { count: seats }) : t("free", { count: seats });
    link.setAttribute("aria-label", `${clockTime(showtime.starts_at_local)}, ${showtime.format}, ${showtime.theatre.name}, ${free.textContent}, ${t("from_price", { price: money(showtime.price_from) })}`);
  };
  counts.set(showtime.id, update);
  update(showtime.free_seats);
  return link;
}
