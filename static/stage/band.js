// The cursor: one band through every track, under the figures and, as two fine lines, over them.

export class Band {
  constructor(tracks) {
    const make = (name) => {
      const element = document.createElement("div");
      element.className = `band ${name}`;
      element.setAttribute("aria-hidden", "true");
      tracks.append(element);
      return element;
    };
    this.parts = [make("under"), make("over")];
    this.ghost = make("ghost");
  }

  /** Moves to a position; `pointed` is a character pointed at while the clock runs, or null. */
  move(axis, { pass, t }, pointed) {
    for (const part of this.parts) {
      this.#place(part, axis, t);
      part.dataset.pass = pass;
    }
    const shown = pointed !== null && pointed !== undefined && axis.shows(pointed);
    this.ghost.hidden = !shown;
    if (shown) this.#place(this.ghost, axis, pointed);
  }

  #place(part, axis, t) {
    part.style.width = `${axis.column}px`;
    part.style.transform = `translateX(${axis.x(t) - axis.column / 2}px)`;
  }
}
