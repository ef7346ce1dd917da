// One's own socket, for the whole site: news for the inbox, and changes of one's own holds and bookings wherever they
// were made. It is there as long as there is somebody, and comes back by itself.

import { accessToken, distrust, me, onSession } from "../api.js";

const PAUSE_MS_MAX = 20_000;
const SIGNED_OUT = 4401;
const listeners = new Set();
let socket = null;
let person = null;
let attempt = 0;
let timer = null;

// Hears every frame; answers with how to stop listening.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function begin() {
  onSession(changed);
  changed();
}

function changed() {
  const now = me()?.id ?? null;
  if (now === person) return;
  person = now;
  attempt = 0;
  clearTimeout(timer);
  socket?.close();
  socket = null;
  if (person) connect();
}

async function connect() {
  const mine = person;
  const token = await accessToken().catch(() => null);
  if (mine !== person) return;
  if (!token) { again(mine); return; }
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const here = socket = new WebSocket(`${scheme}//${location.host}/api/v1/me/live`);
  here.onopen = () => here.send(JSON.stringify({ type: "auth", id: 1, token }));
  here.onmessage = (event) => {
    attempt = 0;
    if (here === socket) for (const listener of listeners) listener(JSON.parse(event.data));
  };
  here.onclose = ({ code }) => {
    if (code === SIGNED_OUT) distrust(token);
    if (here === socket) again(mine);
  };
}

function again(mine) {
  timer = setTimeout(() => { if (mine === person) connect(); }, Math.min(PAUSE_MS_MAX, 500 * 2 ** attempt++) * (0.5 + Math.random()));
}
