// One booking: the confirmation, the tickets, and the way out with the refund named before the button is pressed.

import { call, get, post, ProblemError } from "../api.js";
import { h, skeleton, toast } from "../dom.js";
import { clockTime, longDay, money, t } from "../i18n.js";
import { art } from "./lobby.js";
import { bill } from "../till.js";

export async function show(main, [id]) {
  const done = skeleton(main, 2);
  const booking = await get(`/bookings/${id}`);
  done();
  draw(main, booking);
}

function draw(main, booking) {
  const fresh = new URLSearchParams(location.search).has("new") && booking.status === "confirmed";
  const { showtime } = booking;
  const film = h("div", { class: "pass-poster" });
  main.replaceChildren(h("section", { class: "wide booking" },
    h("p", { class: "eyebrow" }, t(`booking.${booking.status}`)),
    h("h1", {}, fresh ? t("booking.enjoy") : showtime.movie?.title ?? booking.reference),
    h("div", { class: `pass ${booking.status}` }, film,
      h("div", { class: "pass-main" },
        fresh ? h("h2", {}, showtime.movie?.title ?? "") : null,
        showtime.starts_at_local ? h("p", { class: "when" }, `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}`) : null,
        h("p", { class: "facts" }, [showtime.theatre?.name, showtime.screen?.name, showtime.theatre?.city].filter(Boolean).join(" · ")),
        h("ul", { class: "pass-seats" }, booking.seats.map((line) => h("li", {}, h("b", {}, line.seat), h("small", {}, t(`type.${line.ticket_type}`)))))),
      h("div", { class: "pass-stub" }, h("small", {}, t("booking.reference")), h("b", { class: "reference" }, booking.reference))),
    bill(booking),
    booking.refund ? h("p", { class: "hint" }, t("booking.refund", { amount: money(booking.refund.amount) })) : null,
    ["confirmed", "pending_payment"].includes(booking.status) ? way(main, booking) : null));
  picture(film, showtime.movie);
}

async function picture(place, movie) {
  if (!movie) return;
  const film = await get(`/movies/${movie.id}`).catch(() => null);
  if (film) place.append(art(film));
}

// Somebody who left the till in the middle can still pay.
function payment(main, booking) {
  const pay = async () => {
    button.disabled = true;
    try {
      draw(main, await post(`/bookings/${booking.id}/confirm`, { provider: "sandbox" }));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      button.disabled = false;
      toast(error.message, "refused");
    }
  };
  const button = h("button", { type: "button", class: "button act", onclick: pay }, t("till.pay_now", { total: money(booking.total) }));
  return button;
}

function way(main, booking) {
  const place = h("div", { class: "cart-acts" });
  const ask = async () => {
    const quote = await call("GET", `/bookings/${booking.id}/cancellation-quote`).catch((error) => toast(error.message, "refused"));
    if (!quote) return;
    place.replaceChildren(
      h("p", {}, quote.refund.amount ? t("booking.quote", { amount: money(quote.refund) }) : t("booking.quote_none")),
      h("button", { type: "button", class: "button danger", onclick: cancel }, t("booking.cancel_yes")),
      h("button", { type: "button", class: "plain", onclick: () => place.replaceChildren(first) }, t("booking.keep")));
  };
  const cancel = async () => {
    try {
      await post(`/bookings/${booking.id}/cancel`, {});
      toast(t("booking.cancelled_now"));
      draw(main, await get(`/bookings/${booking.id}`));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      toast(error.message, "refused");
    }
  };
  const first = h("button", { type: "button", class: "button quiet", onclick: ask }, t("booking.cancel"));
  if (booking.status === "pending_payment") place.append(payment(main, booking));
  place.append(first);
  return place;
}
