// The till: contact, payment, confirmation, in one dialog over the seat map.

import { isGuest, post, ProblemError } from "./api.js";
import { h, toast } from "./dom.js";
import { clockTime, longDay, money, t } from "./i18n.js";
import { ring } from "./ring.js";

export async function till({ showtime, hold, now, person, open, onPlaced, onClosed }) {
  const dialog = h("dialog", { class: "till", "aria-labelledby": "till-title" });
  let booking = null;
  let timer = null;
  const close = () => { timer?.stop(); dialog.close(); dialog.remove(); onClosed(); };
  // Once the booking is made the seats wait for the money: it can still be paid on the booking's own page.
  const back = () => { close(); if (booking) open(`/bookings/${booking.id}`); };
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); back(); });
  document.body.append(dialog);

  const contact = () => {
    const email = h("input", { type: "email", name: "email", required: true, autocomplete: "email", id: "till-email" });
    const form = h("form", { method: "dialog" },
      h("div", { class: "till-head" }, title(t("till.contact")), what(showtime)),
      h("label", { for: "till-email" }, t("till.email")), email,
      h("p", { class: "hint" }, t("till.contact_hint")),
      acts(t("till.next"), t("till.back"), back));
    form.addEventListener("submit", (event) => { event.preventDefault(); place({ email: email.value }, form); });
    dialog.replaceChildren(form);
    email.focus();
  };

  const place = async (who, form) => {
    await busy(form, async () => {
      booking = await post("/bookings", { hold_id: hold.hold_id, ...(who && { contact: who }) });
      onPlaced();
      if (booking.status === "confirmed") done();
      else pay();
    });
  };

  const pay = () => {
    timer?.stop();
    timer = ring({ until: Date.parse(booking.expires_at), whole: showtime.hold_ttl_s, now, onEnd: () => { toast(t("till.expired"), "refused"); close(); } });
    const form = h("form", { method: "dialog" },
      h("div", { class: "cart-head" }, h("div", { class: "till-head" }, title(t("till.pay")), what(showtime)), timer.element),
      bill(booking),
      h("div", { class: "card-face" }, h("span", {}, t("till.sandbox")), h("b", {}, "4242 4242 4242 4242")),
      h("p", { class: "hint" }, t("till.sandbox_hint")),
      acts(t("till.pay_now", { total: money(booking.total) }), t("till.later"), back));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      busy(form, async () => {
        booking = await post(`/bookings/${booking.id}/confirm`, { provider: "sandbox" });
        done();
      });
    });
    dialog.replaceChildren(form);
    form.querySelector("button[type=submit]").focus();
  };

  const done = () => {
    close();
    open(`/bookings/${booking.id}?new`);
  };

  if (isGuest()) contact();
  else dialog.replaceChildren(h("form", {}, title(t("till.pay")), h("p", {}, t("till.moment", { name: person.display_name ?? "" }))));
  dialog.showModal();
  if (!isGuest()) await place(null, dialog.firstChild);
}

export function bill(booking) {
  const row = (name, value, strong) => value.amount || strong ? h("div", { class: strong ? "sum strong" : "sum" }, h("dt", {}, name), h("dd", {}, money(value))) : null;
  return h("dl", { class: "bill" },
    booking.seats.map((line) => h("div", { class: "sum" }, h("dt", {}, `${line.seat} · ${t(`type.${line.ticket_type}`)}`), h("dd", {}, money(line.price)))),
    row(t("bill.fees"), booking.fees), row(t("bill.tax"), booking.tax), row(t("bill.total"), booking.total, true));
}

const title = (text) => h("h2", { id: "till-title" }, text);

function what(showtime) {
  return h("p", { class: "facts" }, `${showtime.movie.title}, ${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}`);
}

function acts(next, other, back) {
  return h("div", { class: "cart-acts" },
    h("button", { type: "submit", class: "button act" }, next),
    h("button", { type: "button", class: "plain", onclick: back }, other));
}

async function busy(form, work) {
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  form.querySelector(".problem")?.remove();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    form.append(h("p", { class: "problem", role: "alert" }, error.message));
    for (const button of buttons) button.disabled = false;
  }
}
