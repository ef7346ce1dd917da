// What happened to a booking, as a timeline in plain words.

import { h } from "../dom.js";
import { known, listed, moment, money, t } from "../i18n.js";

// Trying to pay several times in a row is told once.
const AGAIN = "payment_started";

export function history(booking) {
  const told = booking.history.filter((chapter, index, all) => chapter.event !== AGAIN || all[index + 1]?.event !== AGAIN);
  const chapters = told.map((chapter) => [chapter, sentence(chapter)]).filter(([, words]) => words);
  return h("section", { class: "history", "aria-labelledby": "history-title" }, h("h2", { id: "history-title" }, t("history.title")),
    h("ol", {}, chapters.map(([chapter, words]) => h("li", { class: chapter.event },
      h("time", { datetime: chapter.at }, moment(chapter.at, booking.showtime.theatre.time_zone)), h("span", {}, words)))));
}

// Who did it changes the words; what has none is no story for the customer.
function sentence(chapter) {
  const facts = { amount: chapter.amount ? money(chapter.amount) : "", seats: listed(chapter.seats ?? []) };
  const free = chapter.event === "booking_confirmed" && !chapter.amount?.amount;
  const key = [`history.${chapter.event}.${free ? "free" : chapter.by}`, `history.${chapter.event}`].find(known);
  if (!key) return null;
  const refund = chapter.refund?.amount.amount ? t("history.back", { amount: money(chapter.refund.amount) }) : "";
  return [t(key, facts), refund].filter(Boolean).join(" ");
}
