// One booking: the pass, what it cost, what happened to it, and the way out. It changes while one looks.

import { get, post, ProblemError } from "../api.js";
import { bill } from "../bill.js";
import { cancellation, quote, why } from "../booking/cancellation.js";
import { history } from "../booking/history.js";
import { moved } from "../booking/moved.js";
import { waiting } from "../booking/waiting.js";
import { h, say, skeleton } from "../dom.js";
import { clockTime, longDay, moment, money, t } from "../i18n.js";
import { listen } from "../live/mine.js";
import { comesFromPaying, proofOfPaying } from "../payment.js";
import { art } from "./lobby.js";

const ENDS = { confirmed: "waiting.confirmed", expired: "waiting.too_late", cancelled: "waiting.cancelled" };

export async function show(main, [id]) {
  const done = skeleton(main, 2);
  // The provider's own word comes as well; who brings a proof need not wait for it. What it led to is seen below.
  const proof = proofOfPaying();
  if (proof) await post(`/bookings/${id}/confirm`, proof).catch((error) => { if (!(error instanceof ProblemError)) throw error; });
  const booking = await get(`/bookings/${id}`);
  done();
  const page = new BookingPage(main, booking);
  // The provider's word may be here before the customer is.
  if (booking.status !== "pending_payment" && comesFromPaying(id)) page.decided(booking);
  else page.draw();
  return () => page.leave();
}

class BookingPage {
  constructor(main, booking) {
    Object.assign(this, { main, booking, news: null });
    this.fresh = new URLSearchParams(location.search).has("new");
    this.film = h("div", { class: "pass-poster" });
    picture(this.film, booking.showtime.movie);
    this.stopListening = listen((frame) => this.hear(frame));
  }

  leave() {
    this.stopListening();
    this.wait?.stop();
  }

  // Somebody or something else may have changed it: another window, the house, the clock.
  async hear(frame) {
    const named = frame.type === "notification" ? frame.notification.booking_id === this.booking.id : frame.bookings?.some((one) => one.id === this.booking.id);
    if (!named || this.booking.status === "pending_payment") return;
    const now = await get(`/bookings/${this.booking.id}`).catch(() => null);
    if (now && print(now) !== print(this.booking)) this.become(now, this.news);
  }

  become(booking, news) {
    Object.assign(this, { booking, news });
    this.draw();
  }

  // The provider's word has come, or the time for it has run out.
  decided(booking) {
    comesFromPaying(booking.id);
    this.fresh = booking.status === "confirmed";
    const late = booking.status === "expired" && !booking.history.some((chapter) => chapter.event === "refund_decided");
    this.become(booking, t(late ? "waiting.expired" : ENDS[booking.status]));
    say(this.news);
  }

  draw() {
    const { booking } = this;
    const fresh = this.fresh && booking.status === "confirmed";
    const lives = ["confirmed", "pending_payment"].includes(booking.status) && Date.parse(booking.showtime.starts_at) > Date.now();
    this.wait?.stop();
    this.wait = booking.status === "pending_payment" ? waiting(booking, (now) => this.decided(now)) : null;
    this.main.replaceChildren(h("section", { class: "wide booking" },
      h("p", { class: "eyebrow" }, t(`booking.${booking.status}`)),
      h("h1", {}, fresh ? t("booking.enjoy") : booking.showtime.movie?.title ?? booking.reference),
      this.news ? h("p", { class: "news", role: "status", tabindex: "-1" }, this.news) : null,
      this.pass(fresh), this.wait?.element,
      h("div", { class: "columns" },
        h("div", {}, h("h2", {}, t("booking.price")), bill(booking), returned(booking)),
        history(booking)),
      lives ? this.wayOut() : null));
    this.main.querySelector(".news")?.focus();
  }

  pass(fresh) {
    const { booking } = this;
    const { showtime } = booking;
    return h("div", { class: `pass ${booking.status}` }, this.film,
      h("div", { class: "pass-main" },
        fresh ? h("h2", {}, showtime.movie?.title ?? "") : null,
        showtime.starts_at_local ? h("p", { class: "when" }, `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}`) : null,
        h("p", { class: "facts" }, [showtime.theatre?.name, showtime.screen?.name, showtime.theatre?.city].filter(Boolean).join(" · ")),
        h("ul", { class: "pass-seats" }, booking.seats.map((line) => h("li", {}, h("b", {}, line.seat), h("small", {}, t(`type.${line.ticket_type}`)))))),
      h("div", { class: "pass-stub" }, h("small", {}, t("booking.reference")), h("b", { class: "reference" }, booking.reference)));
  }

  // What giving the seats back would bring, and the way to do it.
  wayOut() {
    const { booking } = this;
    const place = h("section", { class: "way-out", "aria-label": t("booking.cancel") });
    const giveBack = cancellation(booking, (answer) => this.cancelled(answer));
    place.append(giveBack);
    if (booking.status === "confirmed") quote(booking, []).then((offer) => {
      place.prepend(h("p", { class: "hint" }, why(offer, moment(offer.deadline, booking.showtime.theatre.time_zone))));
      const choice = offer.moved ? moved(booking, offer, () => { giveBack.querySelector("button")?.click(); giveBack.scrollIntoView({ block: "center" }); }) : null;
      if (choice) this.main.querySelector(".pass")?.before(choice);
    }, (error) => { if (!(error instanceof ProblemError)) throw error; });
    return place;
  }

  async cancelled(answer) {
    const { refund } = answer;
    this.become(await get(`/bookings/${this.booking.id}`), [
      t(answer.status === "cancelled" ? "booking.cancelled_now" : "booking.cancelled_some", { count: answer.cancelled_seats.length }),
      refund ? t(`booking.refund_${refund.status}`, { amount: money(refund.amount) }) : ""].filter(Boolean).join(" "));
  }
}

// What of a booking makes a page of it look different.
const print = (booking) => JSON.stringify([booking.status, booking.seats, booking.showtime.starts_at, booking.history.length, booking.refunded, booking.refund]);

async function picture(place, movie) {
  if (!movie) return;
  const film = await get(`/movies/${movie.id}`).catch(() => null);
  if (film) place.append(art(film));
}

// The money that goes back: how much of it altogether, and how far the last of it is.
function returned({ refunded, refund }) {
  if (!refund && !refunded?.amount) return null;
  const before = refunded?.amount && refunded.amount !== refund?.amount.amount; // else the refund says it all
  return h("div", { class: "returned" },
    before ? h("p", { class: "hint" }, t("booking.refunded", { amount: money(refunded) })) : null,
    refund ? h("p", {}, t(`booking.refund_${refund.status}`, { amount: money(refund.amount) })) : null);
}
