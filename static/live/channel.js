// One live socket: keeps itself connected, resumes where it stopped, answers requests by id, knows the server's time.
// Where sockets are blocked it looks over HTTP instead, and goes on trying.

import { fold, RESYNC } from "./fold.js";

const STAY_AWAY = new Set([4400, 4401, 4404]);
const MISSES_BEFORE_LOOKING = 2;
const LOOK_AGAIN_MS = 2000;

export class Channel {
  constructor(showtimeId, { token, distrust, get, onView, onMine, onState, onMoved = () => {} }) {
    Object.assign(this, { showtimeId, token, distrust, get, onView, onMine, onState, onMoved });
    this.view = null;
    this.offset = 0;
    this.waiting = new Map();
    this.nextId = 1;
    this.attempt = 0;
    this.misses = 0;
    this.looking = null;
    this.closed = false;
    this.ready = false;
    this.ears = new AbortController();
    addEventListener("offline", () => this.#cut(), this.ears);
    addEventListener("online", () => this.#retry(), this.ears);
    this.#connect();
  }

  // Server time in milliseconds: countdowns must not trust the clock of this machine.
  now() { return Date.now() + this.offset; }

  // Sends a request and resolves with its result frame; null when the socket is not there or goes away.
  async request(frame) {
    if (!this.ready) return null;
    const id = this.nextId++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.socket.send(JSON.stringify({ ...frame, id }));
      setTimeout(() => this.#settle(id, null), 8000);
    });
  }

  async signIn() {
    const token = this.said = await this.token().catch(() => null);
    if (token && this.socket?.readyState === WebSocket.OPEN) {
      const id = this.nextId++;
      const answer = await new Promise((resolve) => {
        this.waiting.set(id, resolve);
        this.socket.send(JSON.stringify({ type: "auth", id, token }));
        setTimeout(() => this.#settle(id, null), 8000);
      });
      this.ready = Boolean(answer?.ok);
    }
    return this.ready;
  }

  close() {
    this.closed = true;
    this.ears.abort();
    this.socket?.close();
  }

  // Without a network a socket stays silent for long before it closes: what was asked is not waited for.
  #cut() {
    this.ready = false;
    for (const id of [...this.waiting.keys()]) this.#settle(id, null);
    this.onState("lost");
    this.socket.close();
  }

  #retry() {
    if (this.socket.readyState !== WebSocket.CLOSED) return; // it closes soon, and is opened anew then
    clearTimeout(this.timer);
    this.attempt = 0;
    this.#connect();
  }

  #connect() {
    const since = this.view ? `?since=${this.view.seq}` : "";
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}/api/v1/showtimes/${this.showtimeId}/live${since}`);
    this.socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    this.socket.onclose = (event) => this.#lost(event.code);
  }

  #hear(frame) {
    this.#clock(frame);
    if (frame.type === "hello") {
      this.attempt = this.misses = 0;
      this.looking = null;
      this.onState("open");
      this.signIn();
    } else if (frame.type === "mine") {
      this.onMine(frame);
    } else if (frame.type === "result" || frame.type === "pong") {
      this.#settle(frame.id, frame);
    } else if (frame.type === "bye") {
      this.pause = frame.retry_after_ms;
    } else {
      this.#see(frame);
    }
  }

  #clock({ server_time }) {
    if (server_time) this.offset = Date.parse(server_time) - Date.now();
  }

  // The same facts over HTTP: the map now, then wait for the next change, then the map again.
  async #look() {
    if (this.looking) return;
    const round = this.looking = {}; // another round may begin while this one still waits
    const path = `/showtimes/${this.showtimeId}`;
    while (this.looking === round && !this.closed) {
      try {
        const facts = await this.get(`${path}/seats`);
        if (this.looking !== round || this.closed) return;
        this.#clock(facts);
        this.onState("looking");
        this.#see({ ...facts, type: "snapshot" });
        if (facts.mine) this.onMine({ holds: facts.mine });
        await this.get(`${path}/events?after=${facts.seq}&limit=1`);
      } catch (error) {
        if (!error.code) throw error;
        if (error.code === "showtime_not_found") { this.onState("gone"); return; }
        if (this.looking === round) this.onState("lost");
        await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN_MS); });
      }
    }
  }

  #see(frame) {
    const next = fold(this.view, frame);
    if (next === RESYNC) {
      this.socket.send(JSON.stringify({ type: "resync", id: this.nextId++ }));
    } else if (next !== this.view) {
      const before = this.view;
      this.view = next;
      this.onView(next, before);
      if (before && this.#moved(frame, before)) this.onMoved();
    }
  }

  // News of the whole showtime that is neither its status nor its sale: it has moved, or its hall is another one.
  #moved(frame, before) {
    if (frame.type === "showtime") return frame.status === before.status && frame.sales === before.sales;
    return frame.type === "snapshot" && frame.layout_id !== before.layout_id;
  }

  #settle(id, answer) {
    this.waiting.get(id)?.(answer);
    this.waiting.delete(id);
  }

  #lost(code) {
    this.ready = false;
    for (const id of [...this.waiting.keys()]) this.#settle(id, null);
    if (this.closed) return;
    if (STAY_AWAY.has(code) && code !== 4401) { this.onState("gone"); return; }
    if (code === 4401) this.distrust(this.said);
    if (!this.looking) this.onState("lost");
    if (++this.misses >= MISSES_BEFORE_LOOKING) this.#look();
    const pause = this.pause ?? Math.min(10_000, 300 * 2 ** this.attempt++) * (0.5 + Math.random());
    this.pause = undefined;
    this.timer = setTimeout(() => { if (!this.closed) this.#connect(); }, pause);
  }
}

// Whether a showtime, read again, is at another time or in another hall.
export function hasMoved(before, now) {
  return ["layout_id", "starts_at", "screen"].some((key) => JSON.stringify(now[key]) !== JSON.stringify(before[key]));
}

// The lobby's socket: free seats of every showtime.
export function watchLobby(onFree) {
  let socket;
  let closed = false;
  let attempt = 0;
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(`${scheme}//${location.host}/api/v1/live`);
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      attempt = 0;
      if (frame.type === "availability") onFree(frame.showtimes);
    };
    socket.onclose = () => {
      if (!closed) setTimeout(() => closed || connect(), Math.min(15_000, 500 * 2 ** attempt++) * (0.5 + Math.random()));
    };
  };
  connect();
  return () => { closed = true; socket.close(); };
}
