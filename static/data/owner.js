// What this browser owns: the tokens it was told once. A browser may forbid it to remember; then it knows until the
// page is left.

const told = new Map();

class Owned {
  /** `memory` is what the browser's names for these tokens begin with. */
  constructor(memory) {
    this.memory = memory;
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
    return [...names].filter((name) => name.startsWith(this.memory)).map((name) => name.slice(this.memory.length));
  }
}

export const networks = new Owned("gatescope owner of ");
export const runs = new Owned("gatescope owner of run ");

/** The header that proves it. */
export const proof = (token) => ({ Authorization: `Bearer ${token}` });
