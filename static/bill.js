// What things cost and what comes back of it, in words: the bill, the rules behind a price, the policy of the house.

import { h } from "./dom.js";
import { clockTime, listed, longDay, money, t } from "./i18n.js";

export function bill(order) {
  const { currency } = order.total;
  const of = (name) => ({ amount: order.seats.reduce((sum, line) => sum + (line[name]?.amount ?? 0), 0), currency });
  const off = order.discount ?? of("discount");
  return h("dl", { class: "bill" },
    order.seats.map(seatRow),
    row(t("bill.fees"), order.fees ?? of("fee")), row(t("bill.tax"), order.tax ?? of("tax")),
    off.amount ? row(t("bill.discount"), { ...off, amount: -off.amount }, "off") : null,
    row(t("bill.total"), order.total, "strong"));
}

function seatRow(line) {
  return h("div", { class: "sum" },
    h("dt", {}, `${line.seat} · ${t(`type.${line.ticket_type}`)}`, rules(line)), h("dd", {}, money(line.price)));
}

// A price that something moved says by what.
export function rules(line) {
  return line.rules?.length ? h("small", { class: "rules" }, t("bill.rules", { rules: listed(line.rules) })) : null;
}

function row(name, value, kind = "") {
  if (!value.amount && kind !== "strong") return null;
  return h("div", { class: `sum ${kind}` }, h("dt", {}, name), h("dd", {}, money(value)));
}

// The lines of a cancellation policy, the earliest first, and what holds after the last.
export function policy(lines) {
  if (!lines.length) return h("p", { class: "hint" }, t("policy.none"));
  return h("details", { class: "policy" }, h("summary", {}, t("policy.title")),
    h("ul", {}, lines.map((line) => h("li", {}, t("policy.until", { hours: hours(line.hours_before), back: back(line) }))),
      h("li", {}, t("policy.after"))));
}

export const hours = (count) => (count ? t("policy.hours", { count }) : t("policy.start"));

export function back({ refund_pct, fee }) {
  const part = refund_pct === 100 ? t("policy.all") : t("policy.part", { percent: refund_pct });
  return fee.amount ? t("policy.less", { part, fee: money(fee) }) : part;
}

export function what(showtime) {
  return h("p", { class: "facts" }, `${showtime.movie.title}, ${longDay(showtime.starts_at_local)}, ${clockTime(showtime.starts_at_local)}`);
}
