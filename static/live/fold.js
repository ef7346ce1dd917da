// The client's half of the socket protocol: how frames become a view of the seats. Pure, and the same specification as
// the server's own fold: both are run against the fixtures in tests/fixtures/fold.
//
// Drop what is old, apply what continues or overlaps (states are final), resync on a gap or a new epoch. A showtime
// frame at the version that is already known says how things stand there, so it may always be applied.

export const RESYNC = "resync";
const TAKEN = ["held", "sold", "blocked"];

export function viewOf(snapshot) {
  const seats = new Map();
  for (const state of TAKEN) for (const seat of snapshot[state]) seats.set(seat, state);
  const { epoch, seq, layout_id, layout_version, status, sales, counts } = snapshot;
  return { epoch, seq, layout_id, layout_version, status, sales, counts, seats };
}

export function asJson(view) {
  const { epoch, seq, layout_version, status, sales, counts } = view;
  const lists = Object.fromEntries(TAKEN.map((state) =>
    [state, [...view.seats].filter(([, its]) => its === state).map(([seat]) => seat).sort()]));
  return { epoch, seq, layout_version, status, sales, ...lists, counts };
}

export function fold(view, frame) {
  if (frame.type === "snapshot") return viewOf(frame);
  if (!["delta", "showtime", "tick"].includes(frame.type) || view === null) return view;
  if (frame.epoch !== view.epoch) return frame.epoch < view.epoch ? view : RESYNC;
  if (frame.type === "tick") return frame.seq <= view.seq ? view : RESYNC;
  const [first, last] = frame.type === "delta" ? [frame.from, frame.to] : [frame.seq, frame.seq];
  if (last <= view.seq && !(frame.type === "showtime" && last === view.seq)) return view;
  if (first > view.seq + 1) return RESYNC;
  return apply(view, frame, last);
}

function apply(view, frame, seq) {
  const seats = new Map(view.seats);
  for (const seat of frame.free ?? []) seats.delete(seat);
  for (const state of TAKEN) for (const seat of frame[state] ?? []) seats.set(seat, state);
  return {
    ...view, seq, seats,
    status: frame.status ?? view.status, sales: frame.sales ?? view.sales, counts: frame.counts ?? view.counts,
  };
}
