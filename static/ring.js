// A countdown as a ring: amber, red in the last minute, in words for screen readers once a minute. `onLast` is told when
// that last minute begins (or has begun already), so that somebody can do something about it.

import { h, s, say } from "./dom.js";
import { t } from "./i18n.js";

const AROUND = 2 * Math.PI * 15;
const LAST_SECONDS = 60;

export function ring({ until, whole, now, onLast, onEnd }) {
  const arc = s("circle", { cx: 18, cy: 18, r: 15, class: "arc", "stroke-dasharray": AROUND, transform: "rotate(-90 18 18)" });
  const text = h("span", { class: "left" });
  const place = h("div", { class: "ring", role: "timer", "aria-label": t("hold.timer") },
    s("svg", { viewBox: "0 0 36 36", "aria-hidden": "true" }, s("circle", { cx: 18, cy: 18, r: 15, class: "rest" }), arc), text);
  let spoken = null;
  let late = false;
  const step = () => {
    const left = Math.max(0, Math.round((until - now()) / 1000));
    text.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    arc.setAttribute("stroke-dashoffset", AROUND * (1 - Math.min(1, left / whole)));
    place.classList.toggle("last", left <= LAST_SECONDS);
    const minutes = Math.ceil(left / 60);
    if (spoken !== null && left > 0 && minutes !== spoken && left > LAST_SECONDS) say(t("hold.minutes_left", { count: minutes }));
    if (spoken !== null && left > 0 && left <= LAST_SECONDS && !late) { late = true; onLast?.(); }
    spoken = minutes;
    if (left === 0) { clearInterval(timer); onEnd?.(); }
  };
  const timer = setInterval(step, 250);
  step();
  return { element: place, stop: () => clearInterval(timer) };
}
