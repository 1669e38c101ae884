// The one connection to the service's log of runs. What has been is pulled page by page; what happens now is streamed
// from there on. Where no stream opens or stays alive, pulling again and again does the same, a little later. Nothing
// ends it but the end of the runs: whatever fails is asked for again.

import { HELD, LogStream, OVER, REFUSED } from "./log_stream.js";
import { againIn, isFinal, pauseAfter } from "./patience.js";
import { Problem, readJson } from "./stream.js";

const PAUSES = {
  together: 60, // ms: events that come together are told together
  pull: 2000, // ms, while there is no stream
  silence: 40000, // ms; the service says at least something every 15 s
  again: [300, 1500], // ms before the next stream: not every page at the same moment
  first: 4000, // ms until the first byte of a stream, which the service sends at once
  held: [60000, 600000], // ms without another try once streams are held back: at first, and at most
  answer: 30000, // ms for a page of the log
  trouble: [500, 10000], // ms before what failed is asked for again: at first, and at most
};
const PAGE = [50, 2000]; // events asked for at once: fewer where whole pages do not come
const HELD_BACK = 2; // streams held back in a row, from which on none is tried for a while

export class Connection {
  constructor(pauses = {}) {
    this.pauses = { ...PAUSES, ...pauses };
    this.logs = new Map(); // run → {events: [[name, data]…], last: the latest id, over, watchers}
    this.busy = false;
    this.stream = null;
    this.failures = 0; // of pulling, in a row
    this.held = 0; // streams, in a row
    this.untried = -Infinity; // no stream before this moment
    this.page = PAGE[1];
  }

  /**
   * Calls `watcher({run, at, events, over, missing, trouble})`: first all there has been, then whatever comes; `at`
   * counts the events before; `trouble` says in words why nothing comes now, "" when it does.
   */
  watch(run, watcher) {
    const empty = {
      events: [],
      last: 0,
      over: false,
      missing: "",
      trouble: "",
      watchers: new Set(),
      told: 0,
      timer: 0,
    };
    const log = this.logs.get(run) ?? empty;
    this.logs.set(run, log);
    log.watchers.add(watcher);
    if (log.events.length || log.missing || log.trouble) {
      const { missing, trouble, told } = log;
      watcher({ run, at: 0, events: log.events.slice(0, told), over: log.over && !log.timer, missing, trouble });
    }
    if (!log.last && !log.over) {
      this.stream?.abort(); // the next stream has this run too
      this.alarm?.();
    }
    this.#keepReading();
  }

  leave(run, watcher) {
    const log = this.logs.get(run);
    log?.watchers.delete(watcher);
    if (!log || log.watchers.size) return;
    this.logs.delete(run);
    this.stream?.abort();
  }

  /** Asks at once: somebody looks again, or the network is back. A stream that died meanwhile is found out. */
  wake() {
    this.alarm?.();
    this.stream?.check();
  }

  #running() {
    return [...this.logs].filter(([, log]) => !log.over && !log.missing);
  }

  async #keepReading() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.#running().length) await this.#rest(await this.#readOnce());
    } finally {
      this.busy = false; // whatever went wrong, the next run that is watched begins again
    }
  }

  // Ends early when somebody wakes it, unless the service asked for this rest.
  #rest({ pause, asked = false }) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      this.alarm = asked ? null : () => resolve(clearTimeout(timer));
    });
  }

  // All there has been, then what happens now for as long as that can be had; returns how long to rest before the next.
  async #readOnce() {
    const problem = await this.#pullAll();
    if (problem) return this.#inTrouble(problem);
    this.failures = 0;
    if (!this.#running().length) return { pause: 0 };
    if (performance.now() < this.untried) return { pause: this.pauses.pull };
    return this.#listen();
  }

  #inTrouble(problem) {
    this.failures++;
    const pause = pauseAfter(this.failures, problem, this.pauses.trouble);
    // what is over before anybody could read of it is not told
    if (this.failures > 1 || problem.retryAfter > 1)
      for (const [run, log] of this.#running())
        this.#tell(run, Object.assign(log, { trouble: againIn(problem, pause) }));
    return { pause, asked: problem.retryAfter > 0 };
  }

  /** Every run's log as far as it has come, also of those that are added meanwhile; the problem there was, or null. */
  async #pullAll(patience = this.pauses.answer) {
    let found = null;
    for (const [run, log] of this.logs)
      if (!log.over && !log.missing) found = (await this.#pull(run, log, patience)) ?? found;
    return found;
  }

  // All that is in the log and not here yet; the problem if it cannot be had now. A run that is not there is told.
  async #pull(run, log, patience) {
    try {
      for (;;) {
        const url = `/api/runs/${run}/events.json?after=${log.last}&limit=${this.page}`;
        const { events, more } = pageOf(await readJson(url, { signal: AbortSignal.timeout(patience) }));
        const stood = log.last;
        for (const { id, event, data } of events) this.#take(event, { ...data, run }, id);
        this.page = Math.min(PAGE[1], 2 * this.page);
        if (log.trouble) this.#tell(run, Object.assign(log, { trouble: "" }));
        if (!more || log.last === stood || this.logs.get(run) !== log) return null;
      }
    } catch (problem) {
      if (isFinal(problem)) {
        this.#tell(run, Object.assign(log, { missing: problem.message, trouble: "" }));
        return null;
      }
      this.page = Math.max(PAGE[0], Math.floor(this.page / 2));
      return problem instanceof Problem ? problem : new Problem(0, "Fault", "The log of this run could not be read.");
    }
  }

  // One stream for every run that goes on; while it has not shown that it brings everything, what it lacks is pulled.
  async #listen() {
    const running = this.#running();
    const after = Math.min(...running.map(([, log]) => log.last));
    const url = `/api/events?runs=${running.map(([run]) => run).join()}&after=${after}`;
    this.stream = new LogStream({
      pauses: this.pauses,
      take: (name, data, id) => this.#take(name, data, id),
      latest: () => Math.max(after, ...[...this.logs.values()].map(({ last }) => last)),
      pull: (patience) => this.#pullAll(patience),
      isOver: () => !this.#running().length,
    });
    const end = await this.stream.follow(url);
    const { problem } = this.stream;
    this.stream = null;
    if (!this.#running().length) return { pause: 0 };
    return this.#afterStream(end, problem);
  }

  #afterStream(end, problem) {
    const [soonest, latest] = this.pauses.again;
    const soon = { pause: soonest + Math.random() * (latest - soonest) };
    if (end !== HELD && end !== REFUSED) {
      this.held = 0;
      return end === OVER ? { pause: 0 } : soon;
    }
    this.held++;
    const [first, most] = this.pauses.held;
    const long = this.held < HELD_BACK ? 0 : Math.min(most, first * 2 ** (this.held - HELD_BACK));
    this.untried = performance.now() + Math.max(long, (problem?.retryAfter ?? 0) * 1000);
    return { pause: this.pauses.pull };
  }

  #take(name, data, id) {
    const log = this.logs.get(data?.run);
    if (!log || log.over || !(id > log.last)) return;
    log.last = id;
    log.events.push([name, data]);
    log.over = name === "end";
    log.timer ||= setTimeout(() => this.#tell(data.run, log), this.pauses.together);
  }

  #tell(run, log) {
    clearTimeout(log.timer);
    const { told, over, missing, trouble } = log;
    const news = { run, at: told, events: log.events.slice(told), over, missing, trouble };
    Object.assign(log, { timer: 0, told: log.events.length });
    for (const watcher of log.watchers) watcher(news);
  }
}

// A page of the log as it has to be; anything else is an answer of somebody else.
function pageOf(answer) {
  const isEvent = (entry) => Number.isSafeInteger(entry?.id) && typeof entry.event === "string";
  if (Array.isArray(answer?.events) && answer.events.every(isEvent)) return answer;
  throw new Problem(0, "Nonsense", "What came back is no log of a run: something else may stand before the service.");
}
