// Slow motion: what happens within one step, as numbered phases that light up one after the other.

import { write } from "../figures/writing.js";

const SLOW = 1000; // ms a step from which there is time to follow

export class Phases {
  /** `passes`: the two labels, forward and backward, that the phases stand beside. */
  constructor(stage, passes) {
    Object.assign(this, { stage, passes, labels: [], calm: matchMedia("(prefers-reduced-motion: reduce)") });
    for (const name of ["taken", "chosen"]) stage.addEventListener(name, () => this.write());
    this.write();
  }

  // The phases a cell has: one without gates goes straight to its memory.
  write() {
    const { signals } = this.stage.description;
    const slow = this.stage.clock.speed >= SLOW;
    const gated = signals.some((signal) => signal.role === "gate");
    const names = { forward: [...(gated ? ["gates"] : []), "memory", "output"], backward: ["loss", "gradient back"] };
    const key = slow ? names.forward.join() : "";
    if (key === this.key) return;
    this.key = key;
    this.labels = { forward: [], backward: [] };
    let many = 0;
    for (const pass of this.passes) {
      for (const label of pass.querySelectorAll("b")) label.remove();
      for (const name of slow ? names[pass.dataset.pass] : []) {
        const label = document.createElement("b");
        write(label, `${++many} ${name}`);
        pass.append(" ", label);
        this.labels[pass.dataset.pass].push(label);
      }
    }
    this.at = null;
  }

  /** Lights the phases of the step the clock has come to: the loss belongs to the turning point alone. */
  step({ s, pass }) {
    if (!this.key || s === this.at) return;
    this.at = s;
    for (const label of [...this.labels.forward, ...this.labels.backward]) {
      for (const running of label.getAnimations()) running.cancel();
    }
    const { clock } = this.stage;
    const [loss, back] = this.labels.backward;
    const lit = pass === "forward" ? this.labels.forward : s === clock.steps ? [loss, back] : [back];
    const each = clock.speed / lit.length;
    lit.forEach((label, k) => {
      const bright = { opacity: 1, background: "var(--band)" };
      label.animate([bright, bright], {
        delay: this.calm.matches ? 0 : k * each,
        duration: this.calm.matches ? clock.speed : each,
      });
    });
  }
}
