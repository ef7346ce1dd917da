// Giving seats back: what comes back is said before the button is pressed, for the whole booking or some of its seats.

import { get, post, ProblemError } from "../api.js";
import { back, hours } from "../bill.js";
import { h, say } from "../dom.js";
import { moment, money, t } from "../i18n.js";
import { busy } from "../till.js";

export function cancellation(booking, onCancelled) {
  const place = h("div", { class: "giving-back" });
  const first = h("button", { type: "button", class: "button quiet", onclick: () => ask() }, t("booking.cancel"));
  const begin = () => { place.replaceChildren(first); first.focus(); };

  const ask = () => busy(place, async () => {
    const offer = await quote(booking, []);
    const form = h("form", { class: "sheet quote" }, h("h2", {}, t("booking.cancel_title")));
    const told = h("div", { class: "offer", role: "status" }, terms(booking, offer));
    const picked = () => [...form.querySelectorAll("input:checked")].map((box) => box.value);
    const sure = h("button", { type: "submit", class: "button danger" }, t("booking.cancel_yes"));
    const again = async () => {
      const seats = picked();
      sure.disabled = !seats.length;
      if (!seats.length) { told.replaceChildren(h("p", {}, t("booking.cancel_none"))); return; }
      const now = await quote(booking, seats).then((answer) => terms(booking, answer), (error) => [refusal(error)]);
      if (seats.join() === picked().join()) told.replaceChildren(...now);
    };
    form.append(...[booking.seats.length > 1 ? boxes(booking, again) : null, told,
      h("div", { class: "cart-acts" }, sure, h("button", { type: "button", class: "plain", onclick: begin }, t("booking.keep")))].filter(Boolean));
    const keys = new Map(); // asked again after a lost answer, it is the same wish
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const seats = booking.seats.length > 1 ? picked() : [];
      const whole = seats.length === booking.seats.length || !seats.length;
      if (!keys.has(seats.join())) keys.set(seats.join(), crypto.randomUUID());
      busy(form, async () => onCancelled(await post(`/bookings/${booking.id}/cancel`, whole ? {} : { seats }, keys.get(seats.join()))));
    });
    place.replaceChildren(form);
    form.querySelector("input, .plain").focus();
    say(told.textContent);
  });

  place.append(first);
  return place;
}

export function quote(booking, seats) {
  return get(`/bookings/${booking.id}/cancellation-quote${seats.length ? `?seats=${encodeURIComponent(seats.join())}` : ""}`);
}

function refusal(error) {
  if (!(error instanceof ProblemError)) throw error;
  return h("p", { class: "problem" }, error.message);
}

function boxes(booking, onChange) {
  return h("fieldset", { class: "which" }, h("legend", {}, t("booking.cancel_which")), booking.seats.map((line) =>
    h("label", {}, h("input", { type: "checkbox", name: "seat", value: line.seat, checked: true, onchange: onChange }),
      h("b", {}, line.seat), h("small", {}, t(`type.${line.ticket_type}`)))));
}

// What comes back, what the house keeps, which line of the policy says so, and until when.
function terms(booking, offer) {
  if (booking.status === "pending_payment") return [h("p", {}, t("booking.quote_unpaid"))];
  const until = moment(offer.deadline, booking.showtime.theatre.time_zone);
  return [
    h("p", { class: "comes-back" }, offer.refund.amount ? [h("b", {}, money(offer.refund)), " ", t("booking.comes_back")] : t("booking.quote_none")),
    offer.fee.amount && offer.refund.amount ? h("p", { class: "hint" }, t("booking.kept", { fee: money(offer.fee) })) : null,
    h("p", { class: "hint" }, why(offer, until)),
  ].filter(Boolean);
}

export function why(offer, until) {
  if (offer.moved) return t("quote.moved", { until });
  if (!offer.policy_line) return t("quote.too_late");
  return t("quote.line", { back: back(offer.policy_line), hours: hours(offer.policy_line.hours_before), until });
}
