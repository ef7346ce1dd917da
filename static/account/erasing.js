// Being forgotten: asked twice, because nothing brings it back.

import { call, forgetMe } from "../api.js";
import { h, toast } from "../dom.js";
import { form } from "../form.js";
import { t } from "../i18n.js";

export function erasing(open) {
  const place = h("div", {});
  const first = h("button", { type: "button", class: "button quiet", onclick: () => sure() }, t("account.erase"));
  const sure = () => {
    const confirm = form({ class: "rows" }, async () => {
      await call("DELETE", "/auth/me");
      forgetMe();
      toast(t("account.erased"));
      open("/");
    },
      h("label", { class: "check" }, h("input", { type: "checkbox", required: true }), t("account.erase_sure")),
      h("div", { class: "cart-acts" }, h("button", { type: "submit", class: "button danger" }, t("account.erase_yes")),
        h("button", { type: "button", class: "plain", onclick: begin }, t("account.erase_no"))));
    place.replaceChildren(confirm);
    confirm.querySelector("input").focus();
  };
  const begin = () => { place.replaceChildren(first); first.focus(); };
  place.append(first);
  return place;
}
