// The inbox: what one was told, the newest first. What is opened is read; what comes while one looks is put on top.

import { call, get, isGuest, post } from "../api.js";
import { h, skeleton } from "../dom.js";
import { moment, t } from "../i18n.js";
import { listen } from "../live/mine.js";

export async function show(main, _parts, { open }) {
  if (isGuest()) {
    open("/sign-in?next=/inbox", { replace: true });
    return null;
  }
  const done = skeleton(main, 3);
  const page = await get("/notifications");
  done();
  const list = h("ol", { class: "notices" });
  const none = h("p", { class: "hint" }, t("inbox.none"));
  const all = h("button", { type: "button", class: "button quiet", onclick: () => readAll() }, t("inbox.read_all"));
  const more = h("button", { type: "button", class: "button quiet more" }, t("more"));
  const tidy = () => {
    none.hidden = list.childElementCount > 0;
    all.hidden = !list.querySelector(".unread");
  };
  const readAll = async () => {
    await post("/notifications/read-all", {});
    for (const item of list.querySelectorAll(".unread")) item.classList.remove("unread");
    tidy();
  };
  const item = (notice) => {
    const head = [h("span", { class: "dot", "aria-hidden": "true" }), h("b", {}, notice.title),
      notice.read ? null : h("span", { class: "unseen" }, t("inbox.unread"))];
    const body = [h("p", { class: "notice-head" }, head), h("p", {}, notice.text), h("time", { datetime: notice.created_at }, moment(notice.created_at))];
    const place = notice.booking_id
      ? h("a", { href: `/bookings/${notice.booking_id}`, "data-link": true, onclick: () => call("PATCH", `/notifications/${notice.id}`, { read: true }).catch(() => null) }, body)
      : h("div", {}, body);
    return h("li", { class: notice.read ? "" : "unread", "data-id": notice.id }, place);
  };
  const add = ({ items, next_cursor }) => {
    list.append(...items.map(item));
    more.hidden = !next_cursor;
    more.onclick = async () => { more.disabled = true; add(await get(`/notifications?cursor=${encodeURIComponent(next_cursor)}`)); more.disabled = false; };
    tidy();
  };
  add(page);
  main.replaceChildren(h("section", { class: "wide inbox" }, h("div", { class: "inbox-head" }, h("h1", {}, t("inbox.title")), all), none, list, more));
  return listen((frame) => {
    if (frame.type !== "notification" || list.querySelector(`[data-id="${frame.notification.id}"]`)) return;
    list.prepend(item(frame.notification));
    tidy();
  });
}
