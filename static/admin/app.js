// The house's side: the same words and pages' manners, with the lights on.

import { isGuest, me, onSession, signOut } from "../api.js";
import { h } from "../dom.js";
import { loadWords, t } from "../i18n.js";
import { begin } from "../router.js";

const ROUTES = [
  [/^\/admin$/, () => import("./pages/day.js")],
  [/^\/admin\/showtimes\/([^/]+)$/, () => import("./pages/showtime.js")],
  [/^\/admin\/jobs$/, () => import("./pages/jobs.js")],
];
const HOUSE = ["box_office", "manager", "admin"];

function menu() {
  const person = me();
  document.getElementById("menu").replaceChildren(
    h("a", { href: "/admin", "data-link": true }, t("admin.showtimes")),
    person?.roles.includes("admin") ? h("a", { href: "/admin/jobs", "data-link": true }, t("admin.jobs")) : "",
    h("a", { href: "/" }, t("admin.site")),
    h("button", { type: "button", class: "plain leave", onclick: () => signOut().then(() => location.assign("/")), title: person?.email }, t("menu.sign_out")));
}

document.documentElement.dataset.theme = localStorage.getItem("marquee.theme") ?? "light";
await loadWords();
if (isGuest()) {
  location.replace(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
} else if (!me().roles.some((role) => HOUSE.includes(role))) {
  document.getElementById("main").replaceChildren(h("section", { class: "wide empty" }, h("h1", {}, t("admin.not_yours")), h("a", { class: "button", href: "/" }, t("home"))));
} else {
  menu();
  onSession(() => { if (isGuest()) location.assign("/"); else menu(); });
  await begin(ROUTES, "/admin");
}
