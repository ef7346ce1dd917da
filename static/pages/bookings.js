// My bookings: what is coming, and what was.

import { get, me } from "../api.js";
import { h, skeleton } from "../dom.js";
import { clockTime, listed, longDay, money, t } from "../i18n.js";

const TIMES = ["upcoming", "past"];

export async function show(main) {
  if (!me()) {
    main.replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("bookings.title")), h("p", {}, t("bookings.sign_in")),
      h("a", { class: "button act", href: "/sign-in?next=/bookings", "data-link": true }, t("menu.sign_in"))));
    return;
  }
  const asked = new URLSearchParams(location.search).get("when");
  const when = TIMES.includes(asked) ? asked : TIMES[0];
  const done = skeleton(main, 4);
  const first = await get(`/bookings?when=${when}`);
  done();
  const list = h("div", { class: "tickets" });
  const more = h("button", { type: "button", class: "button quiet more" }, t("more"));
  const add = ({ items, next_cursor }) => {
    list.append(...items.map(card));
    more.hidden = !next_cursor;
    more.onclick = async () => { more.disabled = true; add(await get(`/bookings?when=${when}&cursor=${encodeURIComponent(next_cursor)}`)); more.disabled = false; };
  };
  add(first);
  main.replaceChildren(h("section", { class: "wide" }, h("h1", {}, t("bookings.title")), tabs(when),
    first.items.length ? [list, more] : h("div", { class: "empty" }, h("p", {}, t(`bookings.none_${when}`)), h("a", { class: "button", href: "/", "data-link": true }, t("home")))));
}

function tabs(chosen) {
  return h("nav", { class: "tabs", "aria-label": t("bookings.when") }, TIMES.map((when) =>
    h("a", { href: `/bookings?when=${when}`, "data-link": true, class: "chip", "aria-current": when === chosen ? "page" : null }, t(`bookings.${when}`))));
}

function card(booking) {
  const { showtime } = booking;
  return h("a", { class: `ticket ${booking.status}`, href: `/bookings/${booking.id}`, "data-link": true },
    h("span", { class: "stub" }, h("b", {}, booking.reference), h("small", {}, t(`booking.${booking.status}`))),
    h("span", { class: "ticket-text" },
      h("b", {}, showtime.movie?.title ?? ""),
      h("span", {}, showtime.starts_at_local ? `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}` : ""),
      h("span", { class: "facts" }, [showtime.theatre?.name, listed(booking.seats.map((line) => line.seat))].filter(Boolean).join(" · "))),
    h("span", { class: "price" }, money(booking.total)));
}
