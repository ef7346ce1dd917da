// Words and figures in the reader's language. English is the source; other languages are data beside it.

export const LANGUAGES = { en: "English", de: "Deutsch", hi: "हिन्दी" };
let words = {};
let fallback = {};
export let language = "en";
// How figures are written: the reader's own region where it speaks the chosen language (24 hours in en-GB).
let region = "en";

export async function loadWords() {
  const wished = localStorage.getItem("marquee.language") || navigator.language.slice(0, 2);
  language = wished in LANGUAGES ? wished : "en";
  region = navigator.languages.find((one) => one.startsWith(language)) ?? language;
  fallback = await read("en");
  words = language === "en" ? fallback : await read(language);
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
}

async function read(name) {
  return (await fetch(`/static/i18n/${name}.json`)).json();
}

export function chooseLanguage(name) {
  localStorage.setItem("marquee.language", name);
  location.reload();
}

// `{name}` is filled in; a key with `_one` is used when `count` is one.
export function t(key, facts = {}) {
  const form = facts.count === 1 && (words[`${key}_one`] || fallback[`${key}_one`]) ? `${key}_one` : key;
  const sentence = words[form] ?? fallback[form] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
}

export function known(key) {
  return key in words || key in fallback;
}

const exponents = new Map();

export function money({ amount, currency }) {
  if (!exponents.has(currency)) {
    const format = new Intl.NumberFormat(region, { style: "currency", currency });
    exponents.set(currency, { format, digits: format.resolvedOptions().maximumFractionDigits });
  }
  const { format, digits } = exponents.get(currency);
  return format.format(amount / 10 ** digits);
}

// Times of a showtime are the theatre's: `local` has no offset, so it is read as it stands.
export function clockTime(local) {
  return new Intl.DateTimeFormat(region, { hour: "numeric", minute: "2-digit" }).format(new Date(local.slice(0, 19)));
}

export function longDay(day) {
  return new Intl.DateTimeFormat(region, { weekday: "long", day: "numeric", month: "long" }).format(new Date(`${day.slice(0, 10)}T12:00`));
}

export function shortDay(day) {
  const date = new Date(`${day}T12:00`);
  return {
    weekday: new Intl.DateTimeFormat(region, { weekday: "short" }).format(date),
    date: new Intl.DateTimeFormat(region, { day: "numeric", month: "short" }).format(date),
  };
}

// An instant, as the clocks of a place show it.
export function moment(at, timeZone) {
  return new Intl.DateTimeFormat(region, { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit", timeZone }).format(new Date(at));
}

export function listed(items) {
  return new Intl.ListFormat(region, { style: "long", type: "conjunction" }).format(items);
}
