// What this browser owns: the tokens it was told once. A browser may forbid it to remember; then it knows until the
// page is left.

const told = new Map();

class Owned {
  /** `memory` begins the browser's names for these tokens; what begins like one of `others` is none of them. */
  constructor(memory, ...others) {
    Object.assign(this, { memory, others });
  }

  remember(id, token) {
    told.set(this.memory + id, token);
    try {
      localStorage.setItem(this.memory + id, token);
    } catch {
      // this page alone remembers
    }
  }

  recall(id) {
    try {
      return told.get(this.memory + id) ?? localStorage.getItem(this.memory + id);
    } catch {
      return null;
    }
  }

  forget(id) {
    told.delete(this.memory + id);
    try {
      localStorage.removeItem(this.memory + id);
    } catch {
      // nothing was remembered
    }
  }

  /** The ids of everything owned. */
  get ids() {
    const names = new Set(told.keys());
    try {
      for (const name of Object.keys(localStorage)) names.add(name);
    } catch {
      // only what this page was told
    }
    const isOwn = (name) => name.startsWith(this.memory) && !this.others.some((other) => name.startsWith(other));
    return [...names].filter(isOwn).map((name) => name.slice(this.memory.length));
  }
}

const OF_A_RUN = "gatescope owner of run ";
export const ownedNetworks = new Owned("gatescope owner of ", OF_A_RUN);
export const ownedRuns = new Owned(OF_A_RUN);

/** The header that proves it. */
export const proof = (token) => ({ Authorization: `Bearer ${token}` });
