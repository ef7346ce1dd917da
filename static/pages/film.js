// A film: what it is, and every chance to see it, by day and theatre.

import { get } from "../api.js";
import { h, skeleton } from "../dom.js";
import { t } from "../i18n.js";
import { watchLobby } from "../live/channel.js";
import { art, dayStrip, every, timeButton } from "./lobby.js";

export async function show(main, [id]) {
  const done = skeleton(main, 3);
  const [film, showtimes] = await Promise.all([get(`/movies/${id}`), every(`/showtimes?movie_id=${id}`)]);
  done();
  const days = [...new Set(showtimes.map((showtime) => showtime.business_date))].sort();
  const counts = new Map();
  const list = h("div", { class: "houses" });
  const strip = h("div", {});
  const choose = (day) => {
    const pressed = strip.contains(document.activeElement);
    strip.replaceChildren(dayStrip(days, day, choose));
    if (pressed) document.getElementById(`day-${day}`).focus();
    const houses = Map.groupBy ? Map.groupBy(onDay(showtimes, day), (one) => one.theatre.id) : grouped(onDay(showtimes, day));
    list.replaceChildren(...[...houses.values()].map((own) => h("div", { class: "house" },
      h("h3", {}, own[0].theatre.name, " ", h("span", {}, own[0].theatre.city)),
      h("div", { class: "times" }, own.map((showtime) => timeButton(showtime, counts))))));
  };
  main.replaceChildren(h("section", { class: "film-page wide" },
    h("div", { class: "film-poster big" }, art(film)),
    h("div", {},
      h("h1", {}, film.title),
      h("p", { class: "facts" }, [...(film.genres ?? []), t("minutes", { count: film.duration_minutes }), film.certificate, film.release_date?.slice(0, 4)].filter(Boolean).join(" · ")),
      film.director ? h("p", { class: "facts" }, t("film.by", { name: film.director })) : null,
      film.description ? h("p", { class: "lead" }, film.description) : null,
      h("h2", {}, t("film.showtimes")), days.length ? strip : h("p", {}, t("lobby.nothing")), list)));
  if (days.length) choose(days[0]);
  return watchLobby((free) => { for (const [key, seats] of Object.entries(free)) counts.get(key)?.(seats); });
}

const onDay = (showtimes, day) => showtimes.filter((showtime) => showtime.business_date === day);

function grouped(showtimes) {
  const groups = new Map();
  for (const showtime of showtimes) groups.set(showtime.theatre.id, [...(groups.get(showtime.theatre.id) ?? []), showtime]);
  return groups;
}
