// A booking whose money is on its way: waits for the provider's word, and says which one came.

import { get, ProblemError } from "../api.js";
import { h } from "../dom.js";
import { money, t } from "../i18n.js";
import { listen } from "../live/mine.js";
import { pay } from "../payment.js";
import { submit } from "../form.js";

const LOOK_MS = 1_000;
const LOOK_MS_MAX = 10_000;
const GRACE_MS = 3_000; // who was refused and paid at once with another card is not told of the refusal again

// What the page shows of how a payment stands.
const STATES = { failed: "failed", refunded: "returned", open: "open" };

// `onDone` gets the booking when it is not waiting any more. Answers with the element and how to stop waiting.
export function waiting(booking, onDone) {
  const place = h("section", { class: "waiting", "aria-label": t("till.pay") });
  let stopped = false;
  let told = null;
  let timer = null;
  let pause = LOOK_MS;
  const since = Date.now();

  const tell = (state) => {
    if (state === told) return;
    told = state;
    const button = (words, act, anew = false) => h("button", { type: "button", class: act, onclick: () => submit(place, () => pay(booking.id, { anew })) }, words);
    place.className = `waiting ${state}`;
    place.replaceChildren(
      h("div", { role: state === "failed" || state === "returned" ? "alert" : "status" },
        state === "pending" ? h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")) : null,
        h("p", {}, h("b", {}, t(`waiting.${state}`))), h("p", { class: "hint" }, t(`waiting.${state}_hint`))),
      state === "pending" ? button(t("waiting.not_paid"), "plain inline")
        : button(t(state === "open" ? "till.pay_now" : "waiting.again", { total: money(booking.total) }), "button act", state !== "open"));
  };

  const look = async () => {
    clearTimeout(timer);
    try {
      const now = await get(`/bookings/${booking.id}`);
      if (stopped) return;
      if (now.status !== "pending_payment") { stop(); onDone(now); return; }
      const state = now.payment.id ? (await get(`/payments/${now.payment.id}`)).status : "open";
      if (stopped) return;
      tell(state === "failed" && Date.now() - since < GRACE_MS ? "pending" : STATES[state] ?? "pending");
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error; // looked for again below
    }
    if (stopped) return;
    timer = setTimeout(look, pause);
    pause = Math.min(LOOK_MS_MAX, pause * 1.3);
  };

  const stopListening = listen((frame) => {
    if (frame.type === "notification" ? frame.notification.booking_id === booking.id : frame.bookings?.some((one) => one.id === booking.id)) look();
  });
  const stop = () => { stopped = true; clearTimeout(timer); stopListening(); };
  tell(booking.payment.id ? "pending" : "open");
  look();
  return { element: place, stop };
}
