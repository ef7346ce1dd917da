// A small router over the browser's history. A page is a module with `show(place, parts, { open })`, which may answer with
// what is to be done when one leaves it.

import { h } from "./dom.js";
import { t } from "./i18n.js";

let routes = [];
let home = "/";
let leave = null;
let visit = null;

export async function begin(pages, start = "/") {
  routes = pages;
  home = start;
  document.addEventListener("click", follow);
  addEventListener("popstate", show);
  await show();
}

export async function open(path, { replace = false } = {}) {
  if (path !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", path);
  await show();
}

function follow(event) {
  const link = event.target.closest("a[data-link]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  open(link.getAttribute("href"));
}

// Each visit has a place of its own: a page that answers after one has gone elsewhere changes nothing any more.
async function show() {
  leave?.();
  leave = null;
  const found = routes.map(([pattern, load]) => [pattern.exec(location.pathname), load]).find(([parts]) => parts);
  if (!found) {
    open(home, { replace: true });
    return;
  }
  const [parts, load] = found;
  const place = visit = h("div", {});
  const page = await load();
  if (visit !== place) return;
  document.getElementById("main").replaceChildren(place);
  scrollTo(0, 0);
  let away = null;
  try {
    away = (await page.show(place, parts.slice(1), { open })) ?? null;
  } catch (error) {
    if (visit === place) refuse(place, error);
    if (!error.code) throw error;
    return;
  }
  if (visit !== place) {
    away?.();
    return;
  }
  leave = away;
  const heading = place.querySelector("h1");
  document.title = heading ? `${heading.textContent} · Marquee` : "Marquee";
}

function refuse(place, error) {
  if (error.code === "auth_required") {
    open(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
    return;
  }
  place.replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("sorry")), h("p", {}, error.message),
    h("a", { href: home, class: "button", "data-link": true }, t("home"))));
}
