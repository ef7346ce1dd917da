// One booking: the pass, what it cost, what happened to it, and the way out.

import { get, ProblemError } from "../api.js";
import { bill } from "../bill.js";
import { cancellation, quote, why } from "../booking/cancellation.js";
import { history } from "../booking/history.js";
import { h, skeleton } from "../dom.js";
import { clockTime, longDay, moment, money, t } from "../i18n.js";
import { pay } from "../payment.js";
import { busy } from "../till.js";
import { art } from "./lobby.js";

export async function show(main, [id]) {
  const done = skeleton(main, 2);
  const booking = await get(`/bookings/${id}`);
  done();
  draw(main, booking);
}

function draw(main, booking, news = null) {
  const fresh = new URLSearchParams(location.search).has("new") && booking.status === "confirmed" && !news;
  const again = async (words) => draw(main, await get(`/bookings/${booking.id}`), words);
  const lives = ["confirmed", "pending_payment"].includes(booking.status) && Date.parse(booking.showtime.starts_at) > Date.now();
  main.replaceChildren(h("section", { class: "wide booking" },
    h("p", { class: "eyebrow" }, t(`booking.${booking.status}`)),
    h("h1", {}, fresh ? t("booking.enjoy") : booking.showtime.movie?.title ?? booking.reference),
    news ? h("p", { class: "news", role: "status", tabindex: "-1" }, news) : null,
    pass(booking, fresh),
    booking.status === "pending_payment" ? payment(booking, again) : null,
    h("div", { class: "columns" },
      h("div", {}, h("h2", {}, t("booking.price")), bill(booking), returned(booking)),
      history(booking)),
    lives ? wayOut(booking, again) : null));
  main.querySelector(".news")?.focus();
}

function pass(booking, fresh) {
  const { showtime } = booking;
  const film = h("div", { class: "pass-poster" });
  picture(film, showtime.movie);
  return h("div", { class: `pass ${booking.status}` }, film,
    h("div", { class: "pass-main" },
      fresh ? h("h2", {}, showtime.movie?.title ?? "") : null,
      showtime.starts_at_local ? h("p", { class: "when" }, `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}`) : null,
      h("p", { class: "facts" }, [showtime.theatre?.name, showtime.screen?.name, showtime.theatre?.city].filter(Boolean).join(" · ")),
      h("ul", { class: "pass-seats" }, booking.seats.map((line) => h("li", {}, h("b", {}, line.seat), h("small", {}, t(`type.${line.ticket_type}`)))))),
    h("div", { class: "pass-stub" }, h("small", {}, t("booking.reference")), h("b", { class: "reference" }, booking.reference)));
}

async function picture(place, movie) {
  if (!movie) return;
  const film = await get(`/movies/${movie.id}`).catch(() => null);
  if (film) place.append(art(film));
}

// Somebody who left the till in the middle can still pay.
function payment(booking, again) {
  const place = h("div", { class: "cart-acts" }, h("button", { type: "button", class: "button act", onclick: () => busy(place, () => pay(booking.id, again)) },
    t("till.pay_now", { total: money(booking.total) })));
  return place;
}

function returned(booking) {
  return booking.refunded?.amount ? h("p", { class: "hint" }, t("booking.refunded", { amount: money(booking.refunded) })) : null;
}

// What giving the seats back would bring, and the way to do it.
function wayOut(booking, again) {
  const place = h("section", { class: "way-out", "aria-label": t("booking.cancel") });
  const { time_zone } = booking.showtime.theatre;
  if (booking.status === "confirmed") quote(booking, []).then((offer) => {
    place.prepend(h("p", { class: "hint" }, why(offer, moment(offer.deadline, time_zone))));
  }, (error) => { if (!(error instanceof ProblemError)) throw error; });
  place.append(cancellation(booking, (answer) => {
    const { refund } = answer;
    const words = refund ? t(`booking.refund_${refund.status}`, { amount: money(refund.amount) }) : "";
    return again([t(answer.status === "cancelled" ? "booking.cancelled_now" : "booking.cancelled_some", { count: answer.cancelled_seats.length }), words].filter(Boolean).join(" "));
  }));
  return place;
}
