// The REST side: one `call` for everything, problems as exceptions, tokens kept fresh, guests minted when first needed.

import { known, listed, t } from "./i18n.js";

const STORE = "marquee.session";
let session = JSON.parse(localStorage.getItem(STORE) || "null");
const listeners = new Set();

export class ProblemError extends Error {
  constructor(status, body) {
    super(sentence(body));
    this.status = status;
    this.code = body.code;
    this.body = body;
  }
}

export function sentence(problem) {
  const key = `problem.${problem.code}`;
  const seats = listed((problem.conflicts ?? []).map((conflict) => conflict.seat));
  if (known(key)) return t(key, { ...problem, seats });
  return problem.detail || t("problem.unknown");
}

export const me = () => session?.user ?? null;
export const isGuest = () => !session || session.user.roles.includes("guest");

// Hears when somebody else is signed in, or nobody; answers with how to stop listening.
export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function remember(answer) {
  keep(answer && { user: answer.user ?? session?.user, access: answer.access_token,
    until: Date.now() + (answer.expires_in - 30) * 1000 });
  if (session) localStorage.setItem(STORE, JSON.stringify(session));
  else localStorage.removeItem(STORE);
}

function keep(one) {
  session = one;
  for (const listener of listeners) listener(me());
}

// All windows are one visitor: who signs in or out in one does so in the others.
addEventListener("storage", (event) => {
  if (event.key === STORE) keep(JSON.parse(event.newValue));
});

export async function call(method, path, body, { key, auth = true } = {}) {
  const headers = { accept: "application/json" };
  const token = auth && session ? await accessToken() : null;
  if (token) headers.authorization = `Bearer ${token}`;
  if (key) headers["idempotency-key"] = key;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ProblemError(0, { code: "offline" });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({ code: "unknown" }));
  if (response.ok) return answer;
  if (answer.code === "token_expired" && token && token === session?.access) {
    distrust(token);
    return call(method, path, body, { key, auth });
  }
  if (response.status === 401 && token && answer.code !== "invalid_credentials") {
    if (token === session?.access) forgetMe();
    if (method === "GET") return call(method, path, body, { key, auth });
  }
  throw new ProblemError(response.status, answer);
}

export const get = (path) => call("GET", path);
export const post = (path, body, key = crypto.randomUUID()) => call("POST", path, body, { key });

let refreshing = null;

// A token good for the next request; two callers share one refresh, because a refresh token works once. Two windows do
// not refresh at a time either, and the second finds what the first one got.
export async function accessToken() {
  if (!session) return null;
  if (Date.now() < session.until) return session.access;
  refreshing ??= alone(exchange).finally(() => { refreshing = null; });
  return refreshing;
}

// The server does not take this token any more: what one may do has changed, or it has expired early.
export function distrust(token) {
  if (session && session.access === token) session.until = 0;
}

const alone = (work) => (navigator.locks ? navigator.locks.request(STORE, work) : work());

// The refresh token is a cookie: scripts cannot read it, and all windows have the same one, which localStorage, that
// windows see a little later, could not promise.
async function exchange() {
  const stored = JSON.parse(localStorage.getItem(STORE) || "null");
  if (stored?.access !== session?.access) {
    keep(stored);
    if (!session || Date.now() < session.until) return session?.access ?? null;
  }
  for (let again = true; ; again = false) {
    const response = await fetch("/api/v1/auth/refresh", { method: "POST" }).catch(() => null);
    const answer = await response?.json().catch(() => null);
    if (response?.ok) {
      remember(answer);
      return session.access;
    }
    // Another window was faster with the same cookie; by now there is a newer one.
    if (again && answer?.code === "refresh_reused") continue;
    if (response?.status !== 401) throw new ProblemError(response?.status ?? 0, answer ?? { code: "offline" });
    forgetMe();
    return null;
  }
}

// Somebody to hold seats for: whoever is signed in, or a guest.
export async function somebody() {
  const token = await accessToken();
  if (token) return token;
  remember(await call("POST", "/auth/guest", {}, { auth: false }));
  return session.access;
}

export async function signIn(email, password) { remember(await call("POST", "/auth/login", { email, password }, { auth: isGuest() })); }
export async function register(body) { remember(await call("POST", "/auth/register", body, { auth: isGuest() })); }
export async function signOut() { await call("POST", "/auth/logout", {}).catch(() => null); forgetMe(); }
export function forgetMe() { remember(null); }

// A code from a text message signs in; with `mine` it proves the number of whoever is signed in.
export async function signInByCode(phone, code, mine = false) {
  remember(await call("POST", "/auth/otp/verify", { phone, code }, { auth: mine || isGuest() }));
}

// What is known of whoever is signed in has changed.
export function keepMe(user) {
  if (!session) return;
  keep({ ...session, user });
  localStorage.setItem(STORE, JSON.stringify(session));
}
