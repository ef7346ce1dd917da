// The layout as the map needs it: seats by label, neighbours, where the arrow keys lead. Pure, no drawing.

export const PITCH = 34;
const AISLE_PITCHES = 1.5;

export function chart(layout) {
  const seats = new Map();
  for (const row of layout.rows) {
    const ordered = [...row.seats].sort((a, b) => a.x - b.x);
    const gaps = ordered.slice(1).map((seat, i) => seat.x - ordered[i].x);
    const reach = Math.min(...gaps, 9) * AISLE_PITCHES;
    ordered.forEach((seat, i) => seats.set(seat.seat, {
      ...seat, row: row.label, zone: row.zone,
      left: i > 0 && gaps[i - 1] <= reach ? ordered[i - 1].seat : null,
      right: i < gaps.length && gaps[i] <= reach ? ordered[i + 1].seat : null,
    }));
  }
  const all = [...seats.values()];
  const [left, right] = [Math.min(...all.map((p) => p.x)), Math.max(...all.map((p) => p.x))];
  const [front, back] = [Math.min(...all.map((p) => p.y)), Math.max(...all.map((p) => p.y))];
  return { layout, seats, box: { left, right, front, back } };
}

// The seats a party of `count` would take when it points at `label`: neighbours to the right first, then to the left,
// shifted by one where that would leave a lone free seat at the end.
export function party(seats, label, count, isFree) {
  const run = [label];
  const grow = (side, at) => {
    for (let seat = seats.get(at)[side]; seat && run.length < count && isFree(seat); seat = seats.get(seat)[side]) {
      if (side === "right") run.push(seat); else run.unshift(seat);
    }
  };
  grow("right", label);
  grow("left", label);
  if (run.length < count) return run;
  const lone = (end, side) => {
    const beside = seats.get(end)[side];
    if (!beside || !isFree(beside)) return null;
    const beyond = seats.get(beside)[side];
    return !beyond || !isFree(beyond) ? beside : null;
  };
  const right = lone(run[run.length - 1], "right");
  if (right && run[0] !== label) return [...run.slice(1), right];
  const left = lone(run[0], "left");
  if (left && run[run.length - 1] !== label) return [left, ...run.slice(0, -1)];
  return run;
}

// The nearest seat in the direction of an arrow key.
export function beside(seats, from, key) {
  const here = seats.get(from);
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  let best = null;
  let score = Infinity;
  for (const seat of seats.values()) {
    const along = (seat.x - here.x) * dx + (seat.y - here.y) * dy;
    const across = Math.abs((seat.x - here.x) * dy) + Math.abs((seat.y - here.y) * dx);
    if (along > 0.05 && along + across * 3 < score) [best, score] = [seat.seat, along + across * 3];
  }
  return best;
}
