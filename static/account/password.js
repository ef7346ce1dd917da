// Choosing another password: everybody else who is signed in to the account is signed out.

import { post } from "../api.js";
import { h } from "../dom.js";
import { field, form } from "../form.js";
import { t } from "../i18n.js";

export function password() {
  const change = form({ class: "rows" }, async ({ current, chosen }) => {
    await post("/auth/change-password", { ...(current && { current_password: current }), new_password: chosen });
    change.reset();
    return t("account.password_changed");
  },
    field("current", t("account.password_current"), { type: "password", autocomplete: "current-password", required: false }),
    field("chosen", t("account.password_new"), { type: "password", autocomplete: "new-password", minlength: 8 }),
    h("div", { class: "cart-acts" }, h("button", { class: "button", type: "submit" }, t("account.password_change"))));
  return change;
}
