// What one is told and how: a switch for each, kept at once.

import { call, ProblemError } from "../api.js";
import { h, say, toast } from "../dom.js";
import { t } from "../i18n.js";

const TOPICS = ["booking_confirmed", "booking_cancelled", "booking_reminder", "showtime_changed"];
const WAYS = ["in_app", "email", "sms"];

export function preferences(told) {
  return h("table", { class: "told" },
    h("thead", {}, h("tr", {}, h("td", {}), WAYS.map((way) => h("th", { scope: "col" }, t(`way.${way}`))))),
    h("tbody", {}, TOPICS.map((topic) => h("tr", {}, h("th", { scope: "row" }, t(`topic.${topic}`)),
      WAYS.map((way) => h("td", {}, box(topic, way, told[topic][way])))))));
}

function box(topic, way, on) {
  const change = async ({ target }) => {
    try {
      await call("PATCH", "/me/notification-preferences", { [topic]: { [way]: target.checked } });
      say(t("account.saved"));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      target.checked = !target.checked;
      toast(error.message, "refused");
    }
  };
  return h("label", {}, h("span", { class: "unseen" }, `${t(`topic.${topic}`)}, ${t(`way.${way}`)}`),
    h("input", { type: "checkbox", checked: on, onchange: change }));
}
