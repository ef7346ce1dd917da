// The start was moved after the booking was made: keep the seats, or have everything back. Keeping needs no asking; it is
// only remembered here, so that the question is not put again for the same start.

import { h } from "../dom.js";
import { clockTime, longDay, money, t } from "../i18n.js";

export function moved(booking, offer, giveBack) {
  const { showtime } = booking;
  const kept = `marquee.kept.${booking.id}`;
  if (localStorage.getItem(kept) === showtime.starts_at) return null;
  const keep = () => {
    localStorage.setItem(kept, showtime.starts_at);
    place.replaceChildren(h("p", { role: "status" }, t("moved.kept")));
  };
  const place = h("section", { class: "moved", "aria-labelledby": "moved-title" },
    h("h2", { id: "moved-title" }, t("moved.title", { when: `${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}` })),
    h("p", { class: "hint" }, t("moved.text")),
    h("div", { class: "cart-acts" },
      h("button", { type: "button", class: "button", onclick: keep }, t("moved.keep")),
      h("button", { type: "button", class: "button quiet", onclick: giveBack }, t("moved.refund", { amount: money(offer.refund) }))));
  return place;
}
