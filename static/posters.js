// Posters cut from paper: the genre chooses shapes and palette, year and title choose the composition. The same film always
// gets the same poster.

import { s } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 300;

const STYLES = {
  action: { palettes: [["#d8432b", "#17130f", "#f4e6c8"], ["#f0a51e", "#1d1a2b", "#f7ead2"]], draw: discs },
  adventure: { palettes: [["#e0913c", "#274b57", "#f6e4bf"], ["#bd5a34", "#20413a", "#f3dfb4"]], draw: horizons },
  comedy: { palettes: [["#f3c33b", "#c63f52", "#fff4da"], ["#ef8e5d", "#2f5d73", "#fdf0d8"]], draw: halves },
  drama: { palettes: [["#8d2f2a", "#221c1a", "#eadfca"], ["#3d4f63", "#1c1f25", "#e9e2d2"]], draw: grid },
  horror: { palettes: [["#a31621", "#0f0d0e", "#efe6d8"], ["#54724f", "#11130f", "#ece5cf"]], draw: shards },
  thriller: { palettes: [["#c7472b", "#191614", "#f0e2c4"], ["#2f6170", "#15181a", "#efe3c8"]], draw: shards },
  romance: { palettes: [["#d9657b", "#4a1f35", "#fdebdd"], ["#e58a6c", "#57263a", "#fff0e0"]], draw: arcs },
  musical: { palettes: [["#7c4fa0", "#271738", "#fbe9cf"], ["#d1577a", "#2c1a3c", "#fdebd4"]], draw: arcs },
  western: { palettes: [["#c8702e", "#40231a", "#f7e3b8"], ["#a9502c", "#2d2320", "#f3dcae"]], draw: horizons },
  fantasy: { palettes: [["#3e7f8c", "#17233d", "#f2e7c9"], ["#77609e", "#1b1b3a", "#f0e6d0"]], draw: orbits },
  documentary: { palettes: [["#5d7d5a", "#1f2a24", "#f1ead6"], ["#a1884c", "#262420", "#f4ecd6"]], draw: bars },
};

export function poster(film) {
  const next = dice(`${film.title}|${film.release_date ?? ""}`);
  const style = STYLES[genreOf(film)] ?? STYLES.drama;
  const [bright, dark, paper] = style.palettes[Math.floor(next() * style.palettes.length)];
  const onDark = next() < 0.62;
  const colors = { ground: onDark ? dark : paper, ink: onDark ? paper : dark, bright, second: onDark ? paper : dark };
  const top = next() < 0.3;
  const title = setTitle(film.title);
  const band = top ? { from: title.height + 44, to: HEIGHT } : { from: 0, to: HEIGHT - title.height - 48 };
  return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "poster", role: "img", "aria-label": film.title, preserveAspectRatio: "xMidYMid slice" },
    s("rect", { width: WIDTH, height: HEIGHT, fill: colors.ground }),
    s("svg", { x: 0, y: band.from, width: WIDTH, height: band.to - band.from, viewBox: `0 0 ${WIDTH} ${band.to - band.from}` },
      style.draw(next, colors, band.to - band.from)),
    lettering(title, film, colors, top));
}

function genreOf(film) {
  const genre = (film.genres?.[0] ?? "drama").toLowerCase();
  if (genre.includes("romantic") || genre.includes("romance")) return "romance";
  if (genre.includes("thriller") || genre.includes("suspense") || genre.includes("crime")) return "thriller";
  if (genre.includes("comedy")) return "comedy";
  if (genre.includes("sci") || genre.includes("fantasy") || genre.includes("animation")) return "fantasy";
  if (genre.includes("concert") || genre.includes("performance") || genre.includes("music")) return "musical";
  return genre;
}

// A small generator seeded with the text: xmur3 into mulberry32.
function dice(text) {
  let hash = 1779033703 ^ text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 3432918353);
    hash = (hash << 13) | (hash >>> 19);
  }
  return () => {
    hash = (hash + 0x6d2b79f5) | 0;
    let x = Math.imul(hash ^ (hash >>> 15), 1 | hash);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

// The largest size at which the title fits in at most five lines; capitals are about 0.68 em wide in a heavy face.
function setTitle(text) {
  const words = text.toUpperCase().split(/\s+/);
  for (let size = 34; size > 9; size -= 1) {
    const room = Math.floor(172 / (size * 0.69));
    const lines = wrap(words, room);
    if (lines && lines.length <= 5 && lines.length * size * 1.04 <= 118) return { lines, size, height: lines.length * size * 1.04 };
  }
  return { lines: [text.toUpperCase()], size: 9, height: 10 };
}

function wrap(words, room) {
  const lines = [];
  for (const word of words) {
    if (word.length > room) return null;
    const last = lines[lines.length - 1];
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function lettering(title, film, colors, top) {
  const start = top ? 20 : HEIGHT - title.height - 24;
  const small = [film.director, film.release_date?.slice(0, 4)].filter(Boolean).join("  ·  ");
  return s("g", { fill: colors.ink, "aria-hidden": "true" },
    title.lines.map((line, i) => s("text", { x: 14, y: start + title.size * (0.86 + i * 1.04), "font-size": title.size, class: "poster-title" }, line)),
    s("text", { x: 14, y: start + title.height + 12, "font-size": 7.5, class: "poster-small" }, small));
}

function discs(next, c, height) {
  const [x, y, r] = [50 + next() * 100, height * (0.35 + next() * 0.3), 46 + next() * 34];
  const tilt = next() < 0.5 ? 1 : -1;
  return [
    s("circle", { cx: x, cy: y, r, fill: c.bright }),
    Array.from({ length: 5 }, (_, i) => s("rect", { x: -60, y: height * 0.18 + i * height * 0.17, width: 330, height: 7 + i * 3, fill: c.second,
      opacity: i === 2 ? 1 : 0.16 + i * 0.08, transform: `rotate(${tilt * (24 + next() * 6)} 100 ${height / 2})` })),
    s("circle", { cx: x + tilt * r * 0.55, cy: y - r * 0.3, r: r * 0.34, fill: c.ground }),
  ];
}

function shards(next, c, height) {
  const edge = (y) => Array.from({ length: 7 }, (_, i) => `${i * 40 - 20},${y + (i % 2 ? 1 : -1) * (10 + next() * 42)}`).join(" ");
  const lean = 40 + next() * 120;
  return [
    s("polygon", { points: `-20,0 ${edge(height * 0.42)} 220,0`, fill: c.bright }),
    s("polygon", { points: `${lean},${height * 0.06} ${lean + 34},${height * 0.12} ${lean - 8},${height * 0.97} ${lean - 26},${height * 0.9}`, fill: c.second }),
    s("polygon", { points: `-20,${height} ${edge(height * 0.86)} 220,${height}`, fill: c.second, opacity: 0.14 }),
    s("circle", { cx: 200 - lean, cy: height * 0.7, r: 12 + next() * 12, fill: c.bright }),
  ];
}

function arcs(next, c, height) {
  const [x, y] = [next() < 0.5 ? 40 : 160, height * (0.55 + next() * 0.2)];
  return [
    Array.from({ length: 5 }, (_, i) => s("circle", { cx: x, cy: y, r: 128 - i * 25, fill: "none", stroke: i % 2 ? c.second : c.bright,
      "stroke-width": 11, opacity: i % 2 ? 0.28 : 0.95 - i * 0.08 })),
    s("circle", { cx: 200 - x, cy: height * 0.26, r: 22 + next() * 10, fill: c.bright }),
    s("circle", { cx: 200 - x + 20, cy: height * 0.26 + 8, r: 20, fill: c.second, opacity: 0.85 }),
  ];
}

function grid(next, c, height) {
  const columns = 4;
  const rows = Math.max(3, Math.round(height / 52));
  const [w, rowHeight] = [WIDTH / columns, height / rows];
  const one = Math.floor(next() * columns * (rows - 1));
  return Array.from({ length: columns * rows }, (_, i) => {
    const [x, y, roll] = [(i % columns) * w, Math.floor(i / columns) * rowHeight, next()];
    if (i === one) return s("circle", { cx: x + w / 2, cy: y + rowHeight / 2, r: Math.min(w, rowHeight) * 0.42, fill: c.bright });
    return s("rect", { x: x + 3, y: y + 3, width: w - 6, height: (rowHeight - 6) * (0.3 + roll * 0.7), fill: roll < 0.28 ? c.bright : c.second, opacity: roll < 0.28 ? 0.9 : 0.08 + roll * 0.26 });
  });
}

function halves(next, c, height) {
  const size = 50;
  const rows = Math.floor(height / size);
  return Array.from({ length: 4 * rows }, (_, i) => {
    const [x, y, roll] = [(i % 4) * size, Math.floor(i / 4) * size + (height - rows * size) / 2, next()];
    if (roll < 0.24) return null;
    const turn = Math.floor(next() * 4) * 90;
    const fill = roll < 0.6 ? c.bright : c.second;
    return s("path", { d: `M ${x} ${y + size / 2} a ${size / 2} ${size / 2} 0 0 1 ${size} 0 z`, fill, opacity: roll < 0.6 ? 1 : 0.3 + roll * 0.4,
      transform: `rotate(${turn} ${x + size / 2} ${y + size / 2})` });
  });
}

function horizons(next, c, height) {
  const sun = 60 + next() * 80;
  const hill = (y, rough) => `M -10 ${height} L -10 ${y} ${Array.from({ length: 6 }, (_, i) => `L ${i * 44} ${y - rough * next()}`).join(" ")} L 210 ${y} L 210 ${height} Z`;
  return [
    s("circle", { cx: sun, cy: height * 0.36, r: 34 + next() * 18, fill: c.bright }),
    s("path", { d: hill(height * 0.66, 62), fill: c.second, opacity: 0.22 }),
    s("path", { d: hill(height * 0.78, 48), fill: c.bright, opacity: 0.55 }),
    s("path", { d: hill(height * 0.93, 36), fill: c.second, opacity: 0.82 }),
  ];
}

function orbits(next, c, height) {
  const [x, y] = [70 + next() * 60, height * 0.52];
  return [
    Array.from({ length: 4 }, (_, i) => s("ellipse", { cx: x, cy: y, rx: 40 + i * 27, ry: 22 + i * 18, fill: "none", stroke: c.second, "stroke-width": 1.6,
      opacity: 0.6 - i * 0.1, transform: `rotate(${-18 + next() * 12} ${x} ${y})` })),
    s("circle", { cx: x, cy: y, r: 30, fill: c.bright }),
    Array.from({ length: 3 }, (_, i) => s("circle", { cx: x + Math.cos(i * 2.2 + next()) * (62 + i * 25), cy: y + Math.sin(i * 2.2 + next()) * (38 + i * 17), r: 5 + i * 3, fill: c.second })),
    Array.from({ length: 26 }, () => s("circle", { cx: next() * 200, cy: next() * height, r: 0.8 + next(), fill: c.second, opacity: 0.5 })),
  ];
}

function bars(next, c, height) {
  return Array.from({ length: 14 }, (_, i) => {
    const tall = height * (0.18 + next() * 0.68);
    return s("rect", { x: 8 + i * 13.4, y: height - tall, width: 9, height: tall, fill: i % 5 === 2 ? c.bright : c.second, opacity: i % 5 === 2 ? 1 : 0.25 + next() * 0.35 });
  });
}
