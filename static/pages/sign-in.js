// Sign in or make an account. Holds of a guest stay with the guest, so choose who you are before you choose seats.

import { ProblemError, register, signIn } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";

export async function show(main, _parts, { open }) {
  let making = false;
  const draw = () => {
    const field = (name, type, autocomplete, more = {}) => [h("label", { for: `f-${name}` }, t(`sign.${name}`)),
      h("input", { id: `f-${name}`, name, type, autocomplete, required: true, ...more })];
    const form = h("form", { class: "sheet" },
      h("h1", {}, t(making ? "sign.register" : "sign.in")),
      making ? field("display_name", "text", "name", { minlength: 2 }) : null,
      field("email", "email", "email"),
      field("password", "password", making ? "new-password" : "current-password", { minlength: making ? 8 : 1 }),
      h("div", { class: "cart-acts" },
        h("button", { class: "button act", type: "submit" }, t(making ? "sign.register" : "sign.in")),
        h("button", { class: "plain", type: "button", onclick: () => { making = !making; draw(); } }, t(making ? "sign.have" : "sign.none"))));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(form));
      form.querySelector(".problem")?.remove();
      try {
        if (making) await register(values); else await signIn(values.email, values.password);
        open(new URLSearchParams(location.search).get("next") ?? "/");
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error;
        const errors = error.body.errors?.map((one) => one.message).join(" ");
        form.append(h("p", { class: "problem", role: "alert" }, errors || error.message));
      }
    });
    main.replaceChildren(h("section", { class: "wide narrow" }, form));
    form.querySelector("input").focus();
  };
  draw();
}
