// One run as the page holds it: what its log says, in lists by step.

const LIVE = ["queued", "running", "paused"];

export class Run {
  /**
   * `facts`: the run as the API describes it; `place`: which of the runs on this page it is. `model` comes with the
   * first checkpoint.
   */
  constructor(facts, place, cells) {
    Object.assign(this, {
      id: facts.id,
      facts,
      place,
      recipe: facts.recipe,
      cell: cells.find(({ id }) => id === facts.recipe.cell),
      model: null,
    });
    Object.assign(this, { progress: [], validations: [], gates: [], samples: [], checkpoints: 0, over: false });
    this.state = facts.state;
    this.reason = facts.reason ?? "";
  }

  /** Takes an event of the log. */
  add(name, data) {
    if (name === "progress") {
      this.progress.push(data);
      const held = data.validation_loss; // the latest there is: it comes again until there is another
      if (Number.isFinite(held) && held !== this.validations.at(-1)?.validation_loss) this.validations.push(data);
    } else if (name === "gates") this.gates.push(data);
    else if (name === "sample") this.samples.push(data);
    else if (name === "checkpoint") this.checkpoints++;
    else if (name === "state") [this.state, this.reason] = [data.state, data.reason ?? ""];
    else if (name === "end") this.over = true;
  }

  /** Whether more may come. */
  get live() {
    return !this.over && LIVE.includes(this.state);
  }

  /** The latest step there is something about. */
  get step() {
    return this.progress.at(-1)?.step ?? 0;
  }

  /** The steps that are planned. */
  get steps() {
    return this.progress.at(-1)?.steps ?? this.recipe.steps;
  }
}

/** The latest entry of a list that is no later than a step, or the first; undefined of an empty list. */
export function entryAt(list, step) {
  return list[placeAt(list, step)];
}

/** Its place in the list. */
export function placeAt(list, step) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].step <= step) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Not more than so many entries, evenly spread, the last one among them. */
export function thinned(list, most) {
  if (list.length <= most) return list;
  const stride = (list.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, k) => list[Math.round(k * stride)]);
}
