// Boots the site: words, theme, header, and a small router over the browser's history.

import { h, icon, toast } from "./dom.js";
import { isGuest, me, onSession, signOut } from "./api.js";
import { chooseLanguage, LANGUAGES, language, loadWords, t } from "./i18n.js";

const ROUTES = [
  [/^\/$/, () => import("./pages/lobby.js")],
  [/^\/movies\/([^/]+)$/, () => import("./pages/film.js")],
  [/^\/showtimes\/([^/]+)$/, () => import("./pages/showtime.js")],
  [/^\/bookings$/, () => import("./pages/bookings.js")],
  [/^\/bookings\/([^/]+)$/, () => import("./pages/booking.js")],
  [/^\/account$/, () => import("./pages/account.js")],
  [/^\/sign-in$/, () => import("./pages/sign-in.js")],
];
const PERSON = "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM4 21c.6-4.2 3.9-6.5 8-6.5s7.4 2.3 8 6.5";
const MOON = "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z";

let leave = null;
let visit = null;

export async function open(path, { replace = false } = {}) {
  if (path !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", path);
  await show();
}

// Each visit has a place of its own: a page that answers after one has gone elsewhere changes nothing any more.
async function show() {
  leave?.();
  leave = null;
  const found = ROUTES.map(([pattern, load]) => [pattern.exec(location.pathname), load]).find(([parts]) => parts);
  if (!found) {
    open("/", { replace: true });
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
    if (error.code === "auth_required" && visit === place) {
      open(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
      return;
    }
    place.replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("sorry")), h("p", {}, error.message),
      h("a", { href: "/", class: "button", "data-link": true }, t("home"))));
    if (!error.code) throw error;
  }
  if (visit !== place) {
    away?.();
    return;
  }
  leave = away;
  const heading = place.querySelector("h1");
  document.title = heading ? `${heading.textContent} · Marquee` : "Marquee";
}

function menu() {
  const person = me();
  document.getElementById("menu").replaceChildren(...[
    person ? h("a", { href: "/bookings", "data-link": true }, t("menu.bookings")) : "",
    isGuest() ? h("a", { href: "/sign-in", "data-link": true }, t("menu.sign_in"))
      : [h("a", { href: "/account", "data-link": true, class: "pictured", "aria-label": t("menu.account") }, icon(PERSON)),
        h("button", { type: "button", class: "plain leave", onclick: () => signOut().then(() => { toast(t("signed_out")); open("/"); }), title: person.email }, t("menu.sign_out"))],
    h("select", { class: "plain", "aria-label": t("menu.language"), onchange: ({ target }) => chooseLanguage(target.value) },
      Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code, selected: code === language }, name))),
    h("button", { type: "button", class: "plain", onclick: switchTheme, "aria-label": t("menu.theme") }, icon(MOON))].flat());
}

function switchTheme() {
  const light = matchMedia("(prefers-color-scheme: light)").matches;
  const now = document.documentElement.dataset.theme ?? (light ? "light" : "dark");
  document.documentElement.dataset.theme = now === "light" ? "dark" : "light";
  localStorage.setItem("marquee.theme", document.documentElement.dataset.theme);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-link]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  open(link.getAttribute("href"));
});
addEventListener("popstate", show);

const theme = localStorage.getItem("marquee.theme");
if (theme) document.documentElement.dataset.theme = theme;
await loadWords();
menu();
onSession(menu);
await show();
