// Name, language and time zone, and the phone number with its proof.

import { call, keepMe, post, signInByCode } from "../api.js";
import { h } from "../dom.js";
import { choice, CODE, field, form } from "../form.js";
import { chooseLanguage, LANGUAGES, language, t } from "../i18n.js";

export function profile(person) {
  const locale = Object.keys(LANGUAGES).find((code) => person.locale.startsWith(code)) ?? "en";
  const zones = [...new Set(["UTC", person.time_zone, ...Intl.supportedValuesOf("timeZone")])].sort();
  const save = async (given) => {
    // A language that was not touched may know more than ours do: en-IN stays en-IN.
    const { locale: wished, ...rest } = given;
    const body = wished === locale ? rest : given;
    keepMe(await call("PATCH", "/auth/me", body));
    if (wished !== language && wished !== locale) chooseLanguage(wished);
    return t("account.saved");
  };
  return form({ class: "rows" }, save,
    h("p", { class: "field" }, h("span", { class: "hint" }, t("sign.email")), h("b", {}, person.email ?? "–"),
      person.email && !person.email_verified ? unproved() : null),
    field("display_name", t("sign.display_name"), { value: person.display_name, autocomplete: "name", minlength: 2 }),
    choice("locale", t("account.locale"), Object.entries(LANGUAGES), locale),
    choice("time_zone", t("account.time_zone"), zones.map((zone) => [zone, zone.replaceAll("_", " ")]), person.time_zone),
    h("div", { class: "cart-acts" }, h("button", { class: "button", type: "submit" }, t("account.save"))));
}

function unproved() {
  const button = h("button", { type: "button", class: "plain inline", onclick: async () => {
    await post("/auth/verify-email/request", {}).then(() => button.replaceWith(h("span", { role: "status", class: "hint" }, t("account.letter_sent"))),
      (error) => { button.textContent = error.message; });
  } }, t("account.prove_email"));
  return button;
}

export function phone(person, again) {
  const place = h("div", {});
  const number = () => place.replaceChildren(form({ class: "rows" }, async ({ phone: given }) => {
    await call("POST", "/auth/otp/request", { phone: given });
    code(given);
  }, field("phone", t("sign.phone"), { type: "tel", autocomplete: "tel", value: person.phone ?? "" }),
    person.phone_verified ? h("p", { class: "hint" }, t("account.phone_proved")) : null,
    h("div", { class: "cart-acts" }, h("button", { class: "button", type: "submit" }, t("sign.phone_send")),
      person.phone ? h("button", { class: "plain", type: "button", onclick: remove }, t("account.phone_remove")) : null)));
  const code = (given) => {
    place.replaceChildren(form({ class: "rows" }, async ({ code: typed }) => {
      await signInByCode(given, typed, true);
      again();
    }, h("p", { role: "status" }, t("sign.phone_sent", { phone: given })), field("code", t("sign.code"), CODE),
      h("div", { class: "cart-acts" }, h("button", { class: "button", type: "submit" }, t("account.phone_prove")),
        h("button", { class: "plain", type: "button", onclick: number }, t("sign.phone_other")))));
    place.querySelector("input").focus();
  };
  const remove = async () => { keepMe(await call("PATCH", "/auth/me", { phone: null })); again(); };
  number();
  return place;
}
