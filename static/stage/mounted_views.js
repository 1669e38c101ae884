// Mounted views and when they are drawn: the part that every stage shares.

const DRAW_EVERY = 100; // ms: figures are drawn at most ten times a second

const UNSEEN = 500; // ms without a frame: nobody sees this one, but it may be printed

// In the next frame; a frame out of sight gets none.
function soon(draw) {
  const once = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    draw();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, UNSEEN);
}

/** What a stage is made on: it has `tracks`, `state`, `colour` and a `draw` of its own. */
export class MountedViews extends EventTarget {
  constructor() {
    super();
    this.views = [];
    this.last = { drawn: 0, turn: null };
  }

  /** From here on the views are drawn again when the tracks' width changes, or the system's colours. */
  begin() {
    new ResizeObserver(() => this.requestDraw()).observe(this.tracks);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme());
    this.retheme();
  }

  /** Takes on the theme that is chosen. */
  retheme() {
    document.documentElement.dataset.theme = this.state.theme;
    this.colour.refresh();
    this.requestDraw();
  }

  /** Mounts a view into an element; its destroy comes back. */
  mount(view, element) {
    const mounted = { view, element, handle: view.mount(element, this), shown: true };
    this.views.push(mounted);
    const watcher = new ResizeObserver(() => this.requestDraw());
    watcher.observe(element);
    this.requestDraw();
    return () => {
      watcher.disconnect();
      this.views.splice(this.views.indexOf(mounted), 1);
      mounted.handle.destroy();
    };
  }

  requestDraw() {
    this.last.turn ??= setTimeout(
      () => soon(() => this.draw()),
      Math.max(0, this.last.drawn + DRAW_EVERY - performance.now()),
    );
  }

  /** Draws every view that is in sight; a stage calls it from its own `draw`. */
  drawViews() {
    for (const mounted of this.views) {
      mounted.shown = mounted.element.clientWidth > 0 && mounted.element.clientHeight > 0;
      if (mounted.shown) mounted.handle.draw();
    }
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
