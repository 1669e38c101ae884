// The log of a run as a page watches it: through the worker that the whole browser shares, or by a connection of its
// own where a frame may not share, and where the worker does not answer.

import { Connection } from "./connection.js";
import { whenWoken } from "./patience.js";

const PATIENCE = 8000; // ms for the worker to answer; it may still do so later
const SILENCE = 45000; // ms without a word from the worker until it is asked whether it is there

class Watched {
  constructor() {
    this.watchers = new Map();
    this.timer = 0;
  }

  /**
   * Calls `watcher({events: [[name, data]…], over, missing, trouble})` for all there has been and whatever comes; one
   * watcher a run. `trouble` says in words why nothing comes now. Returns what ends it.
   */
  watch(run, watcher) {
    const known = { watcher, seen: 0, over: false, tell: (told) => this.#tell(run, told) };
    this.watchers.set(run, known);
    if (!this.port && !this.connection) this.#open();
    else this.#ask(run);
    return () => {
      if (!this.watchers.delete(run)) return;
      this.port?.postMessage({ leave: run });
      this.connection?.leave(run, known.tell);
    };
  }

  #ask(run) {
    this.port?.postMessage({ watch: run });
    this.connection?.watch(run, this.watchers.get(run).tell);
  }

  // What was told already is left out: after a change of the way everything is told again.
  #tell(run, { at, events, over, missing, trouble }) {
    const known = this.watchers.get(run);
    if (!known) return;
    const fresh = events.slice(Math.max(0, known.seen - at));
    known.seen = Math.max(known.seen, at + events.length);
    known.over = over || Boolean(missing);
    known.watcher({ events: fresh, over, missing, trouble });
  }

  #open() {
    whenWoken(() => this.#wake());
    let shared;
    try {
      shared = new SharedWorker(new URL("./events_worker.js", import.meta.url), {
        type: "module",
        name: "gatescope events",
      });
    } catch {
      return this.#alone(); // a frame without an origin of its own shares nothing
    }
    const { port } = shared;
    this.port = port;
    shared.addEventListener("error", () => {
      clearTimeout(this.timer);
      this.port = null;
      this.#alone();
    });
    port.addEventListener("message", ({ data }) => {
      this.#expect(SILENCE, () => this.#wake());
      if (!data.ready) return this.#tell(data.run, data);
      for (const [run, { tell }] of this.watchers) this.connection?.leave(run, tell);
      this.connection = null;
    });
    port.start();
    this.#expect(PATIENCE, () => this.#alone());
    for (const run of this.watchers.keys()) this.#ask(run);
    // a page that is left behind is told nothing; it may come back as it was
    addEventListener("pagehide", () => {
      for (const run of this.watchers.keys()) this.port?.postMessage({ leave: run });
    });
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) for (const run of this.watchers.keys()) this.#ask(run);
    });
  }

  #expect(milliseconds, otherwise) {
    clearTimeout(this.timer);
    this.timer = setTimeout(otherwise, milliseconds);
  }

  // Somebody looks again, or nothing was heard for long: what came meanwhile is asked for at once.
  #wake() {
    this.connection?.wake();
    if (!this.port || [...this.watchers.values()].every(({ over }) => over)) return;
    this.port.postMessage({ wake: !globalThis.document?.hidden, asks: true });
    this.#expect(PATIENCE, () => this.#alone());
  }

  #alone() {
    if (this.connection) return;
    this.connection = new Connection();
    for (const [run, { tell }] of this.watchers) this.connection.watch(run, tell);
  }
}

const watched = new Watched();

export const watchRun = (run, watcher) => watched.watch(run, watcher);
