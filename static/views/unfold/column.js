// One step of the network as one painted column: a card of the deck while the network folds, and the folded cell
// itself.

import { plainly } from "../../data/foreign.js";
import { percent, shortened } from "../../data/formatting.js";
import { inNumbers } from "../../data/task.js";
import { fitting, tileGap } from "./paths.js";

const FAINT = 0.38;
const NAMED = 8; // characters a guess is called by in the folded cell
const CELL_SHAPE = 1.7; // a unit's tile in the folded cell is wider than tall

/** A canvas as sharp as the screen, or `sharper` across; returns its pen, which counts in CSS pixels. */
export function canvasPen(canvas, width, height, sharper = 1) {
  const sharp = globalThis.devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(width * sharp * sharper), height: Math.round(height * sharp) });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d");
  pen.scale(sharp * sharper, sharp);
  return pen;
}

/** How all units of a layer fill a band: {columns, rows}; without a remainder if that keeps their shape. */
export function gridOf(hidden, width, height) {
  const ideal = Math.max(1, Math.min(hidden, Math.round(Math.sqrt((hidden * width) / (height * CELL_SHAPE)))));
  const even = [0, 1, 2, 3, 4, 5]
    .flatMap((k) => [ideal - k, ideal + k])
    .find((many) => many > 0 && hidden % many === 0 && many > ideal / 2);
  const columns = even ?? ideal;
  return { columns, rows: Math.ceil(hidden / columns) };
}

/**
 * Paints step t, `width` px wide. Of a card's units only a sample is there; the folded cell has `all` of them.
 * `reached`: it has been read.
 */
export function paintColumn(pen, stage, plan, t, { width, height, all = false, reached = true, faint = false }) {
  pen.clearRect(0, 0, width, height);
  const margin = all ? 0 : tileGap(width) / 2;
  const place = { left: margin, width: width - 2 * margin };
  wires(pen, stage, plan, width / 2);
  for (const band of plan.bands) {
    const box = { ...place, top: band.top, height: band.height };
    if (!reached && band.kind !== "input") {
      if (band.kind !== "guesses") fill(pen, stage.colour.ghost, box);
      continue;
    }
    pen.globalAlpha = faint && band.kind !== "input" ? FAINT : 1;
    if (band.kind === "tiles" || band.kind === "lane") units(pen, stage, plan, band, t, box, all);
    else if (band.kind === "gate") gate(pen, stage, band, t, box, all);
    else if (band.kind === "guesses") guesses(pen, stage, band, t, box, all);
    else input(pen, stage, t, box, width, all);
    pen.globalAlpha = 1;
  }
}

function fill(pen, colour, { left, top, width, height }) {
  pen.fillStyle = colour;
  pen.fillRect(left, top, width, height);
}

function wires(pen, { colour }, { bands }, x) {
  bands.forEach((band, k) => {
    const above = bands[k - 1];
    const from = above ? above.top + above.height + 2 : 0;
    if (above && band.top - from > 4)
      fill(pen, colour.soft, { left: x - 0.6, top: from, width: 1.2, height: band.top - 2 - from });
  });
}

function units(pen, stage, plan, band, t, box, all) {
  const { timeline, colour } = stage;
  const values = timeline.values(band.layer, band.signal.id);
  const many = timeline.width(band.layer, band.signal.id);
  const shown = all ? Array.from({ length: many }, (_, unit) => unit) : band.units;
  const inset = band.kind === "lane" ? Math.round(band.height * 0.12) : 0;
  const room = box.height - 2 * inset;
  const { columns, rows } = all ? gridOf(many, box.width, room) : { columns: 1, rows: shown.length };
  const wide = box.width / columns;
  const tall = room / rows;
  const gap = tall > 4 && wide > 4 ? 1 : 0.5;
  shown.forEach((unit, k) => {
    const cell = { left: box.left + (k % columns) * wide, top: box.top + inset + Math.floor(k / columns) * tall };
    fill(pen, colour.diverging.css(values[t * many + unit]), { ...cell, width: wide - gap, height: tall - gap });
    if (!all || unit !== plan.pinned || band.layer !== plan.chosen) return;
    Object.assign(pen, { strokeStyle: colour.ink, lineWidth: 1.5 });
    pen.strokeRect(cell.left, cell.top, wide - gap, tall - gap);
  });
}

function gate(pen, { timeline, colour }, band, t, box, all) {
  const mean = timeline.mean(band.layer, band.signal.id)[t];
  fill(pen, colour.ghost, box);
  if (!(mean >= 0)) return;
  const full = all
    ? { width: box.width * mean }
    : { top: box.top + box.height * (1 - mean), height: box.height * mean };
  fill(pen, colour.hue(band.signal.id), { ...box, ...full });
}

let family = null; // asked once: asking makes the browser lay out what has changed

function write(pen, text, x, y, { points, align = "center", bold = false, colour }) {
  family ??= getComputedStyle(document.documentElement).getPropertyValue("--mono");
  Object.assign(pen, {
    font: `${bold ? 700 : 400} ${points}px ${family}`,
    textAlign: align,
    textBaseline: "middle",
    fillStyle: colour,
  });
  pen.fillText(plainly(text), x, y);
}

function guesses(pen, { timeline, task, colour }, band, t, box, all) {
  if (task.counts) {
    const given = task.outputs(t);
    if (given)
      write(pen, inNumbers(given), box.left + box.width / 2, box.top + box.height / 2, {
        points: all ? 14 : 11,
        colour: colour.ink,
      });
    return;
  }
  const line = box.height / band.rows;
  const points = Math.max(11, Math.min(16, line - 3));
  const roomy = all && box.width > 96;
  (timeline.top[t] ?? []).slice(0, band.rows).forEach(([token, share], k) => {
    const middle = box.top + (k + 0.5) * line;
    const hit = token === task.wanted(t);
    const name = shortened(task.named(token, true), all ? NAMED : Math.max(1, Math.floor(box.width / (points * 0.62))));
    const from = box.left + 14 + Math.max(12, [...name].length * points * 0.62);
    if (hit) fill(pen, colour.rightTint, { ...box, top: middle - line / 2 + 0.5, height: line - 1 });
    write(pen, name, all ? box.left + 8 : box.left + box.width / 2, middle, {
      points,
      align: all ? "left" : "center",
      bold: hit,
      colour: colour.ink,
    });
    if (!all) return;
    const long = Math.max(8, box.left + box.width - from - (roomy ? 44 : 4));
    fill(pen, hit ? colour.right : colour.ink, {
      left: from,
      top: middle - 3,
      width: Math.max(1, long * share),
      height: 6,
    });
    if (roomy)
      write(pen, percent(share), box.left + box.width - 5, middle, {
        points: 12,
        align: "right",
        bold: hit,
        colour: hit ? colour.right : colour.soft,
      });
  });
}

function input(pen, { task, colour }, t, box, width, all) {
  fill(pen, colour.ghost, { ...box, left: 1, width: width - 2 });
  const text = task.read(t);
  const one = task.reads === "characters";
  const points = one ? Math.min(20, box.height / 2 + 3, fitting(text, width - 2)) : all ? 14 : 11;
  write(pen, shortened(text, Math.max(1, Math.floor(width / (points * 0.62)))), width / 2, box.top + box.height / 2, {
    points,
    bold: true,
    colour: colour.ink,
  });
}
