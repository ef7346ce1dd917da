// Sign in, make an account, or choose a new password. A guest who makes an account keeps what is held and booked.

import { call, isGuest, keepMe, register, signIn, signInByCode } from "../api.js";
import { h } from "../dom.js";
import { CODE, field, problem, submit } from "../form.js";
import { language, t } from "../i18n.js";

const FIELDS = {
  display_name: { type: "text", autocomplete: "name", minlength: 2 },
  email: { type: "email", autocomplete: "email" },
  password: { type: "password", autocomplete: "current-password" },
  chosen: { type: "password", autocomplete: "new-password", minlength: 8 },
  phone: { type: "tel", autocomplete: "tel" },
  code: CODE,
};
const LABELS = { chosen: "password" };

// What each form asks for, what it does, and where else one can go from it; `then` is the form that follows.
const FORMS = {
  in: { fields: ["email", "password"], more: ["phone_send", "register", "forgot"],
    send: ({ email, password }) => signIn(email, password) },
  register: { fields: ["display_name", "email", "chosen"], more: ["in"],
    send: async ({ display_name, email, chosen }) => {
      await register({ display_name, email, password: chosen });
      if (language !== "en") await call("PATCH", "/auth/me", { locale: language }).then(keepMe, () => null);
    } },
  forgot: { fields: ["email"], more: ["in"], then: "in",
    send: ({ email }) => call("POST", "/auth/forgot-password", { email }, { auth: false }) },
  reset: { fields: ["chosen"], more: ["forgot"], then: "in",
    send: ({ chosen }, { reset }) => call("POST", "/auth/reset-password", { token: reset, new_password: chosen }, { auth: false }) },
  phone_send: { fields: ["phone"], more: ["in"], then: "by_code",
    send: ({ phone }) => call("POST", "/auth/otp/request", { phone }, { auth: false }) },
  by_code: { fields: ["code"], more: ["phone_send", "in"],
    send: ({ code }, { phone }) => signInByCode(phone, code) },
};

export async function show(main, _parts, { open }) {
  const { reset, verify } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  // A token in a link is used from memory: what stays in the address bar may be copied or kept.
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  const draw = (name, known, note = null) => {
    const { fields, more, send, then } = FORMS[name];
    const form = h("form", { class: "sheet" }, h("h1", {}, t(`sign.${name}`)), note,
      fields.map((one) => field(one, t(`sign.${LABELS[one] ?? one}`), FIELDS[one])),
      h("button", { class: "button act", type: "submit" }, t(`sign.${name}`)),
      h("div", { class: "other-ways" }, more.map((other) => h("button", { class: "plain", type: "button", onclick: () => draw(other, known) }, t(`sign.to_${other}`)))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const given = { ...known, ...Object.fromEntries(new FormData(form)) };
      submit(form, async () => {
        await send(given, given);
        if (then) draw(then, given, done(`sign.${name}_done`, given));
        else onward(open);
      });
    });
    main.replaceChildren(h("section", { class: "wide narrow" }, form));
    form.querySelector("input").focus();
  };
  if (verify) return prove(main, verify);
  draw(reset ? "reset" : "in", { reset });
  return null;
}

// Where one wanted to go: a page of this server, whatever the link says. The house's side is a page of its own.
function onward(open) {
  const wished = new URLSearchParams(location.search).get("next") ?? "/";
  const next = new URL(wished, location.origin);
  if (next.origin !== location.origin) open("/");
  else if (next.pathname.startsWith("/admin")) location.assign(next.pathname + next.search);
  else open(next.pathname + next.search);
}

// An address is proved by following the letter's link; there is nothing to fill in.
async function prove(main, token) {
  const outcome = await call("POST", "/auth/verify-email", { token }, { auth: false }).then(() => done("sign.verify_done"), problem);
  main.replaceChildren(h("section", { class: "wide narrow" }, h("div", { class: "sheet" }, h("h1", {}, t("sign.verify")), outcome,
    h("a", { class: "button act", href: isGuest() ? "/sign-in" : "/", "data-link": true }, t(isGuest() ? "sign.in" : "home")))));
}

const done = (key, facts = {}) => h("p", { role: "status" }, t(key, facts));
