// Sign in, make an account, or choose a new password. A guest who makes an account keeps what is held and booked.

import { call, isGuest, ProblemError, register, signIn } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";

const FIELDS = {
  display_name: { type: "text", autocomplete: "name", minlength: 2 },
  email: { type: "email", autocomplete: "email" },
  password: { type: "password", autocomplete: "current-password" },
  chosen: { type: "password", autocomplete: "new-password", minlength: 8 },
};

// What each form asks for, what it does, and where else one can go from it.
const FORMS = {
  in: { fields: ["email", "password"], more: ["register", "forgot"],
    send: ({ email, password }) => signIn(email, password) },
  register: { fields: ["display_name", "email", "chosen"], more: ["in"],
    send: ({ chosen, ...rest }) => register({ ...rest, password: chosen }) },
  forgot: { fields: ["email"], more: ["in"], stays: true,
    send: ({ email }) => call("POST", "/auth/forgot-password", { email }, { auth: false }) },
  reset: { fields: ["chosen"], more: ["forgot"], stays: true,
    send: ({ chosen }, token) => call("POST", "/auth/reset-password", { token, new_password: chosen }, { auth: false }) },
};

export async function show(main, _parts, { open }) {
  const { reset, verify } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  // A token in a link is used from memory: what stays in the address bar may be copied or kept.
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  const draw = (name, note = null) => {
    const form = h("form", { class: "sheet" }, h("h1", {}, t(`sign.${name}`)), note,
      FORMS[name].fields.map(field),
      h("div", { class: "cart-acts" }, h("button", { class: "button act", type: "submit" }, t(`sign.${name}`)),
        FORMS[name].more.map((other) => h("button", { class: "plain", type: "button", onclick: () => draw(other) }, t(`sign.to_${other}`)))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form, name);
    });
    main.replaceChildren(h("section", { class: "wide narrow" }, form));
    form.querySelector("input").focus();
  };
  const submit = async (form, name) => {
    form.querySelector(".problem")?.remove();
    try {
      await FORMS[name].send(Object.fromEntries(new FormData(form)), reset);
      if (FORMS[name].stays) draw("in", done(`sign.${name}_done`));
      else open(new URLSearchParams(location.search).get("next") ?? "/");
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      form.append(problem(error));
    }
  };
  if (verify) return prove(main, verify);
  draw(reset ? "reset" : "in");
  return null;
}

// An address is proved by following the letter's link; there is nothing to fill in.
async function prove(main, token) {
  const outcome = await call("POST", "/auth/verify-email", { token }, { auth: false }).then(() => done("sign.verify_done"), problem);
  main.replaceChildren(h("section", { class: "wide narrow" }, h("div", { class: "sheet" }, h("h1", {}, t("sign.verify")), outcome,
    h("a", { class: "button act", href: isGuest() ? "/sign-in" : "/", "data-link": true }, t(isGuest() ? "sign.in" : "home")))));
}

function field(name) {
  return [h("label", { for: `f-${name}` }, t(`sign.${name === "chosen" ? "password" : name}`)),
    h("input", { id: `f-${name}`, name, required: true, ...FIELDS[name] })];
}

const done = (key) => h("p", { role: "status" }, t(key));

function problem(error) {
  const errors = error.body?.errors?.map((one) => one.message).join(" ");
  return h("p", { class: "problem", role: "alert" }, errors || error.message);
}
