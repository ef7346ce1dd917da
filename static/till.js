// The till: what is bought and by whom, then the money, in one dialog over the seat map.

import { bill, policy, what } from "./bill.js";
import { isGuest, post, ProblemError } from "./api.js";
import { h, toast } from "./dom.js";
import { known, money, t } from "./i18n.js";
import { pay } from "./payment.js";
import { ring } from "./ring.js";
import { signInPath } from "./router.js";

// Answers with the dialog, which an event `moved` tells of another time. `onClosed(leaves)`: whether another page follows.
export function till({ showtime, hold, now, open, renew, onPlaced, onClosed }) {
  const step = h("div", {});
  const dialog = h("dialog", { class: "till", "aria-labelledby": "till-title" }, step,
    h("div", { class: "unseen", role: "status", "data-say": true }), h("div", { class: "toasts", "aria-live": "polite", "data-toasts": true }));
  let booking = null;
  let timer = null;
  const close = (leaves) => { timer?.stop(); dialog.close(); dialog.remove(); onClosed(leaves); };
  // Once the booking is made the seats wait for the money: it can still be paid on the booking's own page.
  const back = () => { close(Boolean(booking)); if (booking) open(`/bookings/${booking.id}`); };
  const over = (words) => { close(false); toast(words, "refused"); };
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); back(); });
  dialog.addEventListener("moved", () => dialog.querySelector(".till-head .facts").replaceWith(what(showtime)));
  document.body.append(dialog);

  const countdown = (until, words) => {
    timer?.stop();
    timer = ring({ until: Date.parse(until), whole: showtime.hold_ttl_s, now, onEnd: () => over(words), onLast: () => warn(dialog, booking ? null : longer) });
    return timer.element;
  };
  const longer = hold.renewals_left > 0 ? async () => {
    hold = await renew();
    if (hold) dialog.querySelector(".ring")?.replaceWith(countdown(hold.expires_at, t("hold.expired")));
  } : null;

  const review = () => {
    // What a guest holds comes along when it signs in, so the same seats are there afterwards.
    const email = isGuest() ? h("input", { type: "email", name: "email", required: true, autocomplete: "email", id: "till-email" }) : null;
    const code = h("input", { name: "promo", id: "till-promo", maxlength: 64, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", "aria-describedby": "till-promo-note" });
    const note = h("p", { class: "problem", id: "till-promo-note", role: "alert", hidden: true });
    const form = h("form", { method: "dialog" },
      h("div", { class: "cart-head" }, h("div", { class: "till-head" }, title(t("till.order")), what(showtime)), countdown(hold.expires_at, t("hold.expired"))),
      bill(hold),
      email ? h("div", { class: "field" }, h("label", { for: "till-email" }, t("till.email")), email,
        h("p", { class: "hint" }, t("till.contact_hint"), " ",
          h("a", { href: signInPath(), "data-link": true, onclick: () => close(true) }, t("sign.to_in")))) : null,
      h("div", { class: "field" }, h("label", { for: "till-promo" }, t("till.promo")), code, note),
      policy(showtime.cancellation_policy),
      acts(t("till.next"), t("till.back"), back));
    code.addEventListener("input", () => mark(code, note, null));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      place(form, { code, note, email: email?.value });
    });
    step.replaceChildren(form);
    (email ?? form.querySelector("button[type=submit]")).focus();
  };

  const place = (form, { code, note, email }) => busy(form, async () => {
    const promo_code = code.value.trim();
    try {
      booking = await post("/bookings", { hold_id: hold.hold_id, ...(email && { contact: { email } }),
        ...(promo_code ? { promo_code } : { expected_total: hold.total.amount }) });
    } catch (error) {
      if (error.code !== "promo_invalid") throw error;
      mark(code, note, promoRefused(error.body));
      throw null;
    }
    onPlaced();
    if (booking.status === "confirmed") { close(true); open(`/bookings/${booking.id}?new`); } else settle();
  });

  const settle = () => {
    const form = h("form", { method: "dialog" },
      h("div", { class: "cart-head" }, h("div", { class: "till-head" }, title(t("till.pay")), what(showtime)), countdown(booking.expires_at, t("till.expired"))),
      bill(booking),
      h("p", { class: "hint" }, t("till.pay_hint")),
      acts(t("till.pay_now", { total: money(booking.total) }), t("till.later"), back));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      busy(form, () => pay(booking.id));
    });
    step.replaceChildren(form);
    form.querySelector("button[type=submit]").focus();
  };

  review();
  dialog.showModal();
  step.querySelector("#till-email, button[type=submit]").focus();
  return dialog;
}

// In the last minute of a hold: seen, and read out.
export function warn(place, longer) {
  place.querySelector(".warning")?.remove();
  const note = h("div", { class: "warning", role: "alert" }, h("p", {}, t(longer ? "hold.last_minute" : "hold.last_minute_only")),
    longer ? h("button", { type: "button", class: "button quiet", onclick: () => { note.remove(); longer(); } }, t("cart.renew")) : null);
  place.prepend(note);
}

export function promoRefused({ reason, ...facts }) {
  return known(`promo.${reason}`) ? t(`promo.${reason}`, facts) : t("problem.promo_invalid");
}

function mark(field, note, words) {
  note.hidden = !words;
  note.textContent = words ?? "";
  if (words) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  } else field.removeAttribute("aria-invalid");
}

const title = (text) => h("h2", { id: "till-title" }, text);

function acts(next, other, back) {
  return h("div", { class: "cart-acts" },
    h("button", { type: "submit", class: "button act" }, next),
    h("button", { type: "button", class: "plain", onclick: back }, other));
}

// While something is asked for, nothing can be asked twice. A problem that is `null` has been shown already.
export async function busy(form, work) {
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  form.querySelector(".problem.whole")?.remove();
  try {
    await work();
  } catch (error) {
    if (error !== null && !(error instanceof ProblemError)) throw error;
    if (error) form.append(h("p", { class: "problem whole", role: "alert" }, error.message));
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}
