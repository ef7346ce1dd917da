// The bell in the header: how much is unread, now.

import { h, icon, say, toast } from "./dom.js";
import { t } from "./i18n.js";
import { listen } from "./live/mine.js";

const BELL = "M6 16.5V11a6 6 0 1 1 12 0v5.5l1.5 2h-15zM10 21h4";
let unread = 0;
let owner = null;
let draw = () => {};

export function bell(person) {
  if (owner !== person.id) unread = 0;
  owner = person.id;
  const count = h("span", { class: "count-badge", "aria-hidden": "true" });
  const link = h("a", { href: "/inbox", "data-link": true, class: "pictured bell" }, icon(BELL), count);
  draw = () => {
    count.textContent = unread > 99 ? "99+" : unread;
    count.hidden = !unread;
    link.setAttribute("aria-label", unread ? t("inbox.label", { count: unread }) : t("inbox.title"));
  };
  draw();
  return link;
}

// What comes in while one is elsewhere is said in passing.
listen((frame) => {
  if (frame.unread === undefined) return;
  unread = frame.unread;
  draw();
  if (frame.type !== "notification" || ["/inbox", `/bookings/${frame.notification.booking_id}`].includes(location.pathname)) return;
  toast(frame.notification.title);
  say(frame.notification.title);
});
