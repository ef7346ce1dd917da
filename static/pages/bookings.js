// My bookings: what is coming, and what was.

import { get, me } from "../api.js";
import { h, skeleton } from "../dom.js";
import { clockTime, listed, longDay, money, t } from "../i18n.js";

export async function show(main) {
  if (!me()) {
    main.replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("bookings.title")), h("p", {}, t("bookings.sign_in")),
      h("a", { class: "button act", href: "/sign-in", "data-link": true }, t("menu.sign_in"))));
    return;
  }
  const done = skeleton(main, 4);
  const { items } = await get("/bookings?limit=50");
  done();
  main.replaceChildren(h("section", { class: "wide" }, h("h1", {}, t("bookings.title")),
    items.length ? h("div", { class: "tickets" }, items.map(card))
      : h("div", { class: "empty" }, h("p", {}, t("bookings.none")), h("a", { class: "button", href: "/", "data-link": true }, t("home")))));
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
