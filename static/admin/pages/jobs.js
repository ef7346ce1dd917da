// What the house still has to do for people: refunds, letters, messages. What is parked waits for a person's decision.

import { get, ProblemError, post } from "../../api.js";
import { h, skeleton, toast } from "../../dom.js";
import { moment, t } from "../../i18n.js";

const STATES = ["parked", "ready", "running", "done", "dropped"];

export async function show(main) {
  const asked = new URLSearchParams(location.search).get("state");
  const state = STATES.includes(asked) ? asked : STATES[0];
  const done = skeleton(main, 4);
  const first = await get(`/admin/jobs?state=${state}&limit=50`);
  done();
  const body = h("tbody", {});
  const more = h("button", { type: "button", class: "button quiet more" }, t("more"));
  const add = ({ items, next_cursor }) => {
    body.append(...items.map(row));
    more.hidden = !next_cursor;
    more.onclick = async () => add(await get(`/admin/jobs?state=${state}&limit=50&cursor=${next_cursor}`));
  };
  add(first);
  const head = ["topic", "key", "tries", "due", "error", "decide"].map((name) => h("th", { scope: "col" }, t(`admin.${name}`)));
  main.replaceChildren(h("section", { class: "wide" }, h("h1", {}, t("admin.jobs")),
    h("nav", { class: "tabs", "aria-label": t("admin.states") }, STATES.map((one) => h("a", { class: "chip", href: `/admin/jobs?state=${one}`, "data-link": true, "aria-current": one === state ? "page" : null }, t(`admin.job_${one}`)))),
    first.items.length ? [h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("admin.jobs") }, h("table", { class: "ledger" }, h("thead", {}, h("tr", {}, head)), body)), more]
      : h("p", { class: "empty" }, t("admin.no_jobs"))));
}

function row(job) {
  const place = h("tr", {});
  const act = async (verb, given) => {
    try {
      await post(`/admin/jobs/${job.id}/${verb}`, given);
      place.remove();
      toast(t(`admin.job_${verb}_done`));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      toast(error.message, "refused");
    }
  };
  const why = h("input", { "aria-label": t("admin.drop_why"), placeholder: t("admin.drop_why"), maxlength: 200, required: true });
  const drop = h("form", { class: "drop" }, why, h("button", { type: "submit", class: "button small danger" }, t("admin.drop")));
  drop.addEventListener("submit", (event) => { event.preventDefault(); act("drop", { reason: why.value }); });
  const open = ["parked", "ready"].includes(job.state);
  place.append(h("th", { scope: "row" }, job.topic), h("td", { class: "key" }, job.key), h("td", { class: "figure" }, job.attempts),
    h("td", {}, moment(job.due_at)), h("td", { class: "key" }, job.last_error || job.note),
    h("td", {}, open ? h("div", { class: "decide" }, h("button", { type: "button", class: "button small", onclick: () => act("retry", {}) }, t("admin.retry")), drop) : ""));
  return place;
}
