// Where one is signed in, and signing out there.

import { call, ProblemError, signOut } from "../api.js";
import { h, toast } from "../dom.js";
import { moment, t } from "../i18n.js";

const BROWSERS = [[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"], [/curl\//, "curl"]];
const SYSTEMS = [[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]];

export function sessions(living, again) {
  return h("ul", { class: "devices" }, living.map((session) => h("li", {},
    h("div", {}, h("b", {}, agent(session.agent)), session.current ? h("span", { class: "here" }, t("account.session_here")) : null,
      h("p", { class: "hint" }, t("account.session_used", { at: moment(session.used_at) }))),
    h("button", { type: "button", class: "button quiet", "aria-label": t("account.session_end_of", { agent: agent(session.agent) }), onclick: () => end(session, again) }, t("menu.sign_out")))));
}

async function end(session, again) {
  if (session.current) { await signOut(); location.assign("/"); return; }
  try {
    await call("DELETE", `/auth/sessions/${session.id}`);
    again();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    toast(error.message, "refused");
  }
}

function agent(text) {
  const known = (list) => list.find(([pattern]) => pattern.test(text))?.[1];
  return [known(BROWSERS), known(SYSTEMS)].filter(Boolean).join(", ") || text.slice(0, 40) || t("account.session_unknown");
}
