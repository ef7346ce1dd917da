// A small router over the browser's history. A page is a module with `show(place, parts, { open })`, which may answer with
// what is to be done when one leaves it.

import { h } from "./dom.js";
import { t } from "./i18n.js";

let routes = [];
let home = "/";
let leave = null;
let visit = null;
let shown = { place: null, path: null };

export async function begin(pages, start = "/") {
  routes = pages;
  home = start;
  document.addEventListener("click", follow);
  history.scrollRestoration = "manual";
  addEventListener("popstate", ({ state }) => show(state?.down));
  await show();
}

// How far down one was is kept with the page that one leaves, for coming back to it.
export async function open(path, { replace = false } = {}) {
  if (path !== location.pathname + location.search) {
    if (!replace) history.replaceState({ down: scrollY }, "");
    history[replace ? "replaceState" : "pushState"](null, "", path);
  }
  await show();
}

// To the form for signing in, and back to here.
export function signInPath() {
  const here = location.pathname + location.search;
  return location.pathname === "/sign-in" ? here : `/sign-in?next=${encodeURIComponent(here)}`;
}

function follow(event) {
  const link = event.target.closest("a[data-link]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  open(link.getAttribute("href"));
}

// Each visit has a place of its own: a page that answers after one has gone elsewhere changes nothing any more.
async function show(down = 0) {
  leave?.();
  leave = null;
  const found = routes.map(([pattern, load]) => [pattern.exec(location.pathname), load]).find(([parts]) => parts);
  const [parts, load] = found ?? [[], () => ({ show: lost })];
  const place = visit = h("div", {});
  const page = await fetched(load);
  if (visit !== place) return;
  const settle = enter(place, down);
  let away = null;
  try {
    away = (await page.show(place, parts.slice(1), { open })) ?? null;
  } catch (error) {
    if (visit === place) {
      refuse(place, error);
      settle();
    }
    if (!error.code) throw error;
    return;
  }
  if (visit !== place) {
    away?.();
    return;
  }
  leave = away;
  settle();
}

// What was shown stays until there is something else to see, so nothing blinks and the page does not fold up in between.
// The same page with another choice stays where it is, under the same finger. Answers with what is to be done at the end.
function enter(place, down) {
  const before = shown;
  const focused = document.activeElement?.id;
  const same = before.path === location.pathname;
  if (before.place) before.place.inert = true;
  document.getElementById("main").replaceChildren(...[before.place, place].filter(Boolean));
  new MutationObserver((_, watch) => {
    watch.disconnect();
    if (visit !== place) return;
    before.place?.remove();
    shown = { place, path: location.pathname };
    if (!same) scrollTo(0, 0);
  }).observe(place, { childList: true });
  return () => {
    const heading = place.querySelector("h1");
    document.title = heading ? `${heading.textContent} · Marquee` : "Marquee";
    if (down) requestAnimationFrame(() => scrollTo(0, down));
    if (place.contains(document.activeElement) || !before.place) return;
    const again = same && focused && document.getElementById(focused);
    (again || document.getElementById("main")).focus({ preventScroll: true });
  };
}

function lost(place) {
  place.replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("lost.title")), h("p", {}, t("lost.text")),
    h("a", { href: home, class: "button act", "data-link": true }, t("home"))));
}

// A page is a file too, and the network may be gone when it is first wanted.
async function fetched(load) {
  try {
    return await load();
  } catch {
    return { show: (place) => refuse(place, { code: "offline", message: t("problem.offline") }) };
  }
}

function refuse(place, error) {
  if (error.code === "auth_required") {
    open(signInPath(), { replace: true });
    return;
  }
  place.replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("sorry")), h("p", {}, error.message),
    h("div", { class: "cart-acts" },
      String(error.code).endsWith("_not_found") ? null : h("button", { type: "button", class: "button act", onclick: () => show() }, t("waiting.again")),
      h("a", { href: home, class: "button", "data-link": true }, t("home")))));
}
