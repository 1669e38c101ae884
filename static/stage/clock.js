// The one clock. It runs 0 … 2N−1: up through the text in the forward pass, down again in the backward pass.

const REST = 4; // steps' time to look at the turning point and at the end before the loop goes on

export class Clock {
  constructor() {
    this.steps = 1;
    this.s = 0;
    this.speed = 200;
    this.playing = false;
    this.watchers = new Set();
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.#schedule());
  }

  get position() {
    const { s, steps } = this;
    return s < steps ? { s, pass: "forward", t: s } : { s, pass: "backward", t: 2 * steps - 1 - s };
  }

  /** Where a character stands in a pass, on the clock's own scale. */
  at(t, pass) {
    return pass === "backward" ? 2 * this.steps - 1 - t : t;
  }

  subscribe(watcher) {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  resize(steps) {
    const { t, pass } = this.position;
    this.steps = Math.max(1, steps);
    this.s = this.at(Math.min(t, this.steps - 1), pass);
  }

  play() {
    this.playing = true;
    this.#tell();
    this.#schedule();
  }

  pause() {
    this.playing = false;
    clearTimeout(this.timer);
    this.#tell();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Goes to a position; out of range means the nearest end. */
  seek(s) {
    this.s = Math.max(0, Math.min(2 * this.steps - 1, Math.round(s)));
    this.#tell();
    this.#schedule();
  }

  /** One step either way by hand, which ends playing. */
  step(by) {
    this.playing = false;
    this.seek(this.s + by);
  }

  setSpeed(milliseconds) {
    this.speed = milliseconds;
    this.#schedule();
  }

  #tell() {
    const { position } = this;
    for (const watcher of this.watchers) watcher(position);
  }

  #schedule() {
    clearTimeout(this.timer);
    if (!this.playing || document.hidden) return;
    const resting = this.s === this.steps - 1 || this.s === 2 * this.steps - 1;
    this.timer = setTimeout(
      () => {
        this.s = (this.s + 1) % (2 * this.steps);
        this.#tell();
        this.#schedule();
      },
      resting ? Math.min(this.speed * REST, 1500) : this.speed,
    );
  }
}
