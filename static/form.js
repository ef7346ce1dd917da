// Forms: fields with labels, and sending with the refusal, or what has been done, said below.

import { ProblemError } from "./api.js";
import { h } from "./dom.js";

// What the field for a code from a text message is like.
export const CODE = { inputmode: "numeric", autocomplete: "one-time-code", pattern: "[0-9]{6}", maxlength: 6 };

export function field(name, label, attributes = {}, hint = null) {
  return h("div", { class: "field" }, h("label", { for: `f-${name}` }, label),
    h("input", { id: `f-${name}`, name, required: true, "aria-describedby": hint ? `h-${name}` : null, ...attributes }),
    hint ? h("p", { class: "hint", id: `h-${name}` }, hint) : null);
}

export function choice(name, label, options, chosen) {
  return h("div", { class: "field" }, h("label", { for: `f-${name}` }, label),
    h("select", { id: `f-${name}`, name }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

// `send` gets the form's values and may answer with a sentence to show.
export function form(attributes, send, ...children) {
  const element = h("form", attributes, ...children);
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(element, () => send(Object.fromEntries(new FormData(element))));
  });
  return element;
}

export async function submit(element, work) {
  const buttons = element.querySelectorAll("button");
  const others = element.querySelector(".other-ways");
  const say = (words) => (others ? others.before(words) : element.append(words));
  for (const old of element.querySelectorAll(".outcome")) old.remove();
  for (const button of buttons) button.disabled = true;
  try {
    const words = await work();
    if (words) say(h("p", { class: "outcome", role: "status" }, words));
  } catch (error) {
    say(problem(error));
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

export function problem(error) {
  if (!(error instanceof ProblemError)) throw error;
  const errors = error.body?.errors?.map((one) => one.message).join(" ");
  return h("p", { class: "problem outcome", role: "alert" }, errors || error.message);
}
