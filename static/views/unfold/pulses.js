// What moves with a step: the pulse from the input to the guess, the one along the state arrows, and the gradient's on
// its way back.

import { number } from "../../data/formatting.js";
import { windowOf } from "../../figures/description.js";
import { make, pulse, restyle, retext } from "../../figures/figure.js";
import { ribbonBands } from "./backward.js";

const LONGEST = 900; // ms
const NORM_ROOM = 72; // px left of the cursor's column that the norm's number needs: else it would reach the labels
const EDGE = 4; // px
const HIDE = [{ opacity: 0 }, { opacity: 0 }];

/** How long a pulse takes at the clock's speed. */
export const pulseTime = ({ speed }) => Math.min(LONGEST, Math.max(160, speed * 0.9));

/** Makes the moving marks anew in their layer; returns step(position). */
export function movingMarks(layer, stage, { bands, height }) {
  layer.replaceChildren();
  const looks = windowMark(layer, stage, bands, height);
  const first = bands[0];
  const last = bands.at(-1);
  const tall = last.top + last.height - first.top;
  const up = make(layer, "i", "pulse-up", { style: `top:${first.top}px` });
  const across = ribbonBands(bands).map((band) => ({
    reverse: band.reverse,
    norms: stage.timeline.gradientNorm(band.layer, band.signal.id),
    dot: make(layer, "i", "pulse-across", { style: `top:${band.middle}px` }),
    back: make(layer, "i", `pulse-back${band.reverse ? " is-reverse" : ""}`, { style: `top:${band.middle}px` }),
    now: make(layer, "b", "norm-now", { style: `top:${band.middle}px` }),
  }));

  // Input to guess in the new column, and along the arrows from the one before.
  function runForward(x, duration, t) {
    restyle(up, "left", `${x}px`);
    pulse(
      up,
      [
        { transform: `translateY(${tall}px)`, opacity: 0.2 },
        { opacity: 0.9, offset: 0.25 },
        { opacity: 0.8, offset: 0.8 },
        { transform: "translateY(0)", opacity: 0 },
      ],
      duration,
    );
    const along = (from) => [
      { transform: `translate(${from}px, -50%)`, opacity: 0 },
      { opacity: 1, offset: 0.5 },
      { transform: "translate(0, -50%)", opacity: 0 },
    ];
    const { column } = stage.axis;
    for (const { dot, reverse } of across) {
      const comes = reverse ? t < stage.timeline.steps - 1 : t > 0;
      restyle(dot, "left", `${x}px`);
      pulse(dot, comes ? along(reverse ? column : -column) : HIDE, duration);
    }
  }

  function runBackward(x, duration, t) {
    const { axis } = stage;
    for (const { back, now, norms, reverse } of across) {
      const way = reverse ? -1 : 1;
      restyle(now, "transform", `translate(calc(${x - axis.column / 2 - 16}px - 100%), -50%)`);
      retext(now, x - axis.column / 2 - axis.gutter > NORM_ROOM ? number(norms[t]) : "");
      restyle(back, "left", `${x}px`);
      pulse(
        back,
        [
          { transform: `translate(${way * axis.column}px, -50%)`, opacity: 0 },
          { opacity: 1, offset: 0.4 },
          { transform: `translate(${x - axis.gutter > axis.column ? -10 * way : 0}px, -50%)`, opacity: 0.9 },
        ],
        duration,
      );
    }
  }

  let was = null;
  return ({ t, pass }) => {
    looks(t);
    if (was !== pass) for (const { back } of across) pulse(back, HIDE, 0); // what the other pass left there
    was = pass;
    (pass === "forward" ? runForward : runBackward)(stage.axis.x(t), pulseTime(stage.clock), t);
  };
}

// What a layer with a window looks at together: a funnel from its tile down to the columns of its input; returns
// step(t).
function windowMark(layer, stage, bands, height) {
  const many = windowOf(stage.timeline.layers[0].cell);
  const lowest = bands.findLast((band) => band.layer === 0 && band.kind === "tiles");
  if (many < 2 || !lowest) return () => {};
  const top = lowest.top + lowest.height;
  const input = bands.find(({ kind }) => kind === "input");
  const slope = (input?.top ?? height - EDGE) - top;
  const funnel = make(layer, "i", "unfold-window", {
    style: `top:${top}px;height:${(input ? input.top + input.height : height) - top}px`,
  });
  return (t) => {
    const { axis } = stage;
    const columns = Math.min(many, t - axis.first + 1);
    const width = columns * axis.column;
    restyle(funnel, "left", `${axis.x(t) + axis.column / 2 - width}px`);
    restyle(funnel, "width", `${width}px`);
    restyle(funnel, "clipPath", `polygon(${100 - 100 / columns}% 0, 100% 0, 100% 100%, 0 100%, 0 ${slope}px)`);
  };
}
