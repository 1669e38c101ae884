// One stream of the log for as long as it can be trusted: a proxy may hold it back, whole or in part, and a connection
// may die without a word. Until its first byte comes, and when it stays silent, the log is pulled beside it.

import { Problem, readEvents } from "./stream.js";

// How a stream ended: nobody needs it any more, it was alive until it ended, it was held back, or it never began.
export const [OVER, ENDED, HELD, REFUSED] = ["over", "ended", "held", "refused"];

const SLOWER = 3; // times as long as a pull a stream may take for the same
const SHORT = 1000; // ms: a stream that ends sooner and brings nothing is none

export class LogStream {
  /**
   * `pauses` as the connection has them; `take(name, data, id)` gets each event of the log; `latest()` is the latest id
   * that is known; `pull(patience)` brings what the log has and resolves to what was the matter, or null; `isOver()`
   * says that nothing more is needed.
   */
  constructor({ pauses, take, latest, pull, isOver }) {
    Object.assign(this, { pauses, take, latest, pull, isOver });
    this.stream = new AbortController();
    this.end = null;
    this.problem = null;
    this.heard = false;
    this.useful = false; // it brought an event
    this.brought = latest(); // the latest id that need not be waited for
    this.checked = pauses.first; // ms of silence until it is checked: nothing new doubles it
    this.timers = { first: 0, silence: 0, check: 0 };
  }

  /** Follows it to its end; resolves to how it ended. */
  async follow(url) {
    const begun = performance.now();
    this.#awaitFirst(begun);
    try {
      await readEvents(url, {
        signal: this.stream.signal,
        onBytes: () => this.#hear(),
        onEvent: (name, data, id) => this.#event(name, data, Number(id)),
      });
    } catch (problem) {
      if (problem.name !== "AbortError") this.problem = problem instanceof Problem ? problem : null;
      if (problem.name !== "AbortError" && !this.heard) this.end ??= REFUSED;
    } finally {
      for (const timer of Object.values(this.timers)) clearTimeout(timer);
    }
    const lived = this.useful || performance.now() - begun > SHORT;
    this.end ??= this.heard && lived ? ENDED : HELD;
    return this.end;
  }

  abort(why = OVER) {
    this.end ??= why;
    this.stream.abort();
  }

  /** Pulls what it may lack: what does not come by itself within half the time between two pulls is held back. */
  async check() {
    if (this.checking) return;
    this.checking = true;
    const begun = performance.now();
    const problem = await this.pull(this.pauses.first);
    const known = this.latest();
    const slow = SLOWER * (performance.now() - begun);
    await new Promise((resolve) => setTimeout(resolve, Math.max(slow, this.pauses.pull / 2)));
    this.checking = false;
    if (this.isOver()) this.abort();
    else if (problem?.status === 0) this.abort(ENDED);
    else if (this.heard && known > this.brought) this.abort(HELD);
  }

  // A busy service is late with everything: no stream is held back that is not much later than what is pulled.
  #awaitFirst(begun, slow = 0) {
    this.timers.first = setTimeout(async () => {
      const pulled = performance.now();
      if (pulled - begun >= this.pauses.first + slow) return this.abort(HELD);
      await this.pull(this.pauses.answer);
      if (this.isOver()) this.abort();
      else if (!this.heard && !this.end) this.#awaitFirst(begun, Math.max(slow, SLOWER * (performance.now() - pulled)));
    }, this.pauses.pull);
  }

  #hear() {
    this.heard = true;
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.timers.silence = setTimeout(() => this.abort(HELD), this.pauses.silence);
    this.#checkLater();
  }

  #checkLater() {
    this.timers.check = setTimeout(() => {
      this.check();
      this.checked *= 2;
      this.#checkLater();
    }, this.checked);
  }

  #event(name, data, id) {
    if (!(id > 0)) return this.abort(ENDED); // no entry of the log: something is missing, and pulling says what
    this.useful = true;
    this.brought = Math.max(this.brought, id);
    this.take(name, data, id);
    if (this.isOver()) this.abort();
  }
}
