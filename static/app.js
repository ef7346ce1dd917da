// Boots the site: words, theme, header, pages.

import { h, icon, toast } from "./dom.js";
import { call, isGuest, keepMe, me, onSession, signOut } from "./api.js";
import { bell } from "./inbox.js";
import { chooseLanguage, LANGUAGES, language, loadWords, t } from "./i18n.js";
import { begin as beginMine } from "./live/mine.js";
import { begin, open, signInPath } from "./router.js";

const ROUTES = [
  [/^\/$/, () => import("./pages/lobby.js")],
  [/^\/movies\/([^/]+)$/, () => import("./pages/film.js")],
  [/^\/showtimes\/([^/]+)$/, () => import("./pages/showtime.js")],
  [/^\/bookings$/, () => import("./pages/bookings.js")],
  [/^\/bookings\/([^/]+)$/, () => import("./pages/booking.js")],
  [/^\/inbox$/, () => import("./pages/inbox.js")],
  [/^\/account$/, () => import("./pages/account.js")],
  [/^\/sign-in$/, () => import("./pages/sign-in.js")],
];
const PERSON = "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM4 21c.6-4.2 3.9-6.5 8-6.5s7.4 2.3 8 6.5";
const GLOBE = "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c2.5 2.6 3.8 5.6 3.8 9s-1.3 6.4-3.8 9c-2.5-2.6-3.8-5.6-3.8-9s1.3-6.4 3.8-9z";
const MOON = "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z";

function menu() {
  const person = me();
  document.getElementById("menu").replaceChildren(...[
    person ? h("a", { href: "/bookings", "data-link": true }, t("menu.bookings")) : "",
    isGuest() ? h("a", { href: "/sign-in", "data-link": true, onclick: ({ target }) => { target.href = signInPath(); } }, t("menu.sign_in"))
      : [bell(person), h("a", { href: "/account", "data-link": true, class: "pictured", "aria-label": t("menu.account") }, icon(PERSON)),
        h("button", { type: "button", class: "plain leave", onclick: () => signOut().then(() => { toast(t("signed_out")); open("/"); }), title: person.email }, t("menu.sign_out"))],
    h("span", { class: "tongue" }, icon(GLOBE),
      h("select", { class: "plain", "aria-label": t("menu.language"), onchange: ({ target }) => speak(target.value) },
        Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code, selected: code === language }, name)))),
    h("button", { type: "button", class: "plain theme", onclick: switchTheme, "aria-label": t("menu.theme") }, icon(MOON))].flat());
}

// Letters to a member are in the language that was chosen here.
async function speak(name) {
  if (!isGuest()) await call("PATCH", "/auth/me", { locale: name }).then(keepMe, () => null);
  chooseLanguage(name);
}

function switchTheme() {
  const light = matchMedia("(prefers-color-scheme: light)").matches;
  const now = document.documentElement.dataset.theme ?? (light ? "light" : "dark");
  document.documentElement.dataset.theme = now === "light" ? "dark" : "light";
  localStorage.setItem("marquee.theme", document.documentElement.dataset.theme);
}

// On a phone the bar has no room for it.
function footer() {
  document.querySelector(".foot").append(h("button", { type: "button", class: "plain theme", onclick: switchTheme }, icon(MOON), t("menu.theme")));
}

const theme = localStorage.getItem("marquee.theme");
if (theme) document.documentElement.dataset.theme = theme;
await loadWords();
menu();
footer();
onSession(menu);
beginMine();
await begin(ROUTES);
