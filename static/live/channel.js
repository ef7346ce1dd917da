// One live socket: keeps itself connected, resumes where it stopped, answers requests by id, knows the server's time.

import { fold, RESYNC } from "./fold.js";

const STAY_AWAY = new Set([4400, 4401, 4404]);

export class Channel {
  constructor(showtimeId, { token, distrust, onView, onMine, onState }) {
    Object.assign(this, { showtimeId, token, distrust, onView, onMine, onState });
    this.view = null;
    this.offset = 0;
    this.waiting = new Map();
    this.nextId = 1;
    this.attempt = 0;
    this.closed = false;
    this.ready = false;
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
    const token = this.said = await this.token();
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
    this.socket?.close();
  }

  #connect() {
    const since = this.view ? `?since=${this.view.seq}` : "";
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}/api/v1/showtimes/${this.showtimeId}/live${since}`);
    this.socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    this.socket.onclose = (event) => this.#lost(event.code);
  }

  #hear(frame) {
    if (frame.server_time) this.offset = Date.parse(frame.server_time) - Date.now();
    if (frame.type === "hello") {
      this.attempt = 0;
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

  #see(frame) {
    const next = fold(this.view, frame);
    if (next === RESYNC) {
      this.socket.send(JSON.stringify({ type: "resync", id: this.nextId++ }));
    } else if (next !== this.view) {
      const before = this.view;
      this.view = next;
      this.onView(next, before);
    }
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
    this.onState("lost");
    const pause = this.pause ?? Math.min(10_000, 300 * 2 ** this.attempt++) * (0.5 + Math.random());
    this.pause = undefined;
    setTimeout(() => { if (!this.closed) this.#connect(); }, pause);
  }
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
