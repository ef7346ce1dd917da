// My account: who I am, how I sign in and where I am signed in, what I am told, and the way out.

import { get, isGuest } from "../api.js";
import { erasing } from "../account/erasing.js";
import { password } from "../account/password.js";
import { preferences } from "../account/preferences.js";
import { phone, profile } from "../account/profile.js";
import { sessions } from "../account/sessions.js";
import { h, skeleton } from "../dom.js";
import { t } from "../i18n.js";

export async function show(main, _parts, { open }) {
  if (isGuest()) {
    open("/sign-in?next=/account", { replace: true });
    return;
  }
  const done = skeleton(main, 4);
  const [person, living, told] = await Promise.all([get("/auth/me"), get("/auth/sessions?limit=100"), get("/me/notification-preferences")]);
  done();
  const again = () => show(main, _parts, { open });
  main.replaceChildren(h("section", { class: "wide account" }, h("h1", {}, t("account.title")),
    part("profile", profile(person, again)), part("phone", phone(person, again)), part("preferences", preferences(told)),
    part("password", password()), part("sessions", sessions(living.items, again)), part("erasing", erasing(open))));
}

function part(name, ...content) {
  return h("section", { class: `part ${name}`, "aria-labelledby": `part-${name}` },
    h("div", { class: "part-head" }, h("h2", { id: `part-${name}` }, t(`account.${name}`)), h("p", { class: "hint" }, t(`account.${name}_hint`))),
    h("div", { class: "part-body" }, ...content));
}
