// The one connection to the service's log of runs. What has been is pulled page by page; what happens now is streamed
// from there on. Where no stream opens or stays alive, pulling again and again does the same, a little later.

import { readEvents, readJson } from "./stream.js";

const PAUSES = {
  together: 60, // ms: events that come together are told together
  pull: 2000, // ms, while there is no stream
  silence: 40000, // ms; the service says at least something every 15 s
  again: [300, 1500], // ms before the next stream: not every page at the same moment
};

const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Connection {
  constructor(pauses = PAUSES) {
    this.pauses = pauses;
    this.logs = new Map(); // run → {events: [[name, data]…], last: the latest id, over, watchers}
    this.busy = false;
    this.stream = null;
  }

  /**
   * Calls `watcher({run, at, events, over, missing})`: first all there has been, then whatever comes; `at` counts the
   * events before.
   */
  watch(run, watcher) {
    const empty = { events: [], last: 0, over: false, missing: "", watchers: new Set(), told: 0, timer: 0 };
    const log = this.logs.get(run) ?? empty;
    this.logs.set(run, log);
    log.watchers.add(watcher);
    if (log.events.length || log.missing)
      watcher({
        run,
        at: 0,
        events: log.events.slice(0, log.told),
        over: log.over && !log.timer,
        missing: log.missing,
      });
    if (!log.last && !log.over) this.stream?.abort(); // the next stream has this run too
    this.#keepReading();
  }

  leave(run, watcher) {
    const log = this.logs.get(run);
    log?.watchers.delete(watcher);
    if (!log || log.watchers.size) return;
    this.logs.delete(run);
    this.stream?.abort();
  }

  #running() {
    return [...this.logs].filter(([, log]) => !log.over && !log.missing);
  }

  async #keepReading() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.#running().length) await rest(await this.#readOnce());
    } finally {
      this.busy = false; // whatever went wrong, the next run that is watched begins again
    }
  }

  // All there has been, then what happens now for as long as that can be had; returns how long to rest before the next.
  async #readOnce() {
    // also what is added meanwhile
    for (const [run, log] of this.logs) if (!log.over && !log.missing) await this.#pull(run, log);
    const streamed = this.#running().length === 0 || (await this.#listen());
    if (!this.#running().length) return 0;
    const [soonest, latest] = this.pauses.again;
    return streamed ? soonest + Math.random() * (latest - soonest) : this.pauses.pull;
  }

  // All that is in the log and not here yet. What cannot be had now is pulled again later; a run that is not there is
  // told.
  async #pull(run, log) {
    try {
      for (;;) {
        const { events, more } = await readJson(`/api/runs/${run}/events.json?after=${log.last}&limit=2000`);
        for (const { id, event, data } of events) this.#take(event, { ...data, run }, id);
        if (!more || this.logs.get(run) !== log) return;
      }
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      if (problem.status !== 404 && problem.status !== 422) return;
      log.missing = problem.message;
      this.#tell(run, log);
    }
  }

  // One stream for every run that goes on; true when it was alive until it was ended.
  async #listen() {
    const running = this.#running();
    const stream = new AbortController();
    this.stream = stream;
    let timer = 0;
    let silent = false;
    let alive = false;
    const onBytes = () => {
      alive = true;
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        stream.abort();
      }, this.pauses.silence);
    };
    const after = Math.min(...running.map(([, log]) => log.last));
    onBytes();
    alive = false;
    try {
      await readEvents(`/api/events?runs=${running.map(([run]) => run).join()}&after=${after}`, {
        signal: stream.signal,
        onBytes,
        onEvent: (name, data, id) => {
          if (!id) return stream.abort(); // no entry of the log: something is missing or deleted, and pulling says what
          this.#take(name, data, Number(id));
          if (!this.#running().length) stream.abort();
        },
      });
    } catch (problem) {
      if (problem.name !== "AbortError" && problem.name !== "Problem") throw problem;
      alive &&= stream.signal.aborted;
    } finally {
      clearTimeout(timer);
    }
    return stream.signal.aborted ? !silent : alive;
  }

  #take(name, data, id) {
    const log = this.logs.get(data.run);
    if (!log || log.over || !(id > log.last)) return;
    log.last = id;
    log.events.push([name, data]);
    log.over = name === "end";
    log.timer ||= setTimeout(() => this.#tell(data.run, log), this.pauses.together);
  }

  #tell(run, log) {
    clearTimeout(log.timer);
    const told = { run, at: log.told, events: log.events.slice(log.told), over: log.over, missing: log.missing };
    Object.assign(log, { timer: 0, told: log.events.length });
    for (const watcher of log.watchers) watcher(told);
  }
}
