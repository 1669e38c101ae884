// When something that could not be had is asked for again, and what is said meanwhile.

import { asSentence } from "./stream.js";

// ms before the second try, each further one waits twice as long; at most, unless the service asks for more
const GROWING = [500, 10000];
const TRIES = 3;
const USUAL = 2; // s, where the service has no place and does not say for how long
const LONGEST_SILENCE = 30; // s that somebody is let wait for a place before they are told to come back

/**
 * Milliseconds to wait after so many failures in a row: growing, as long as the service asked for, and never the same
 * for all pages.
 */
export function pauseAfter(failures, { retryAfter = 0 } = {}, [first, longest] = GROWING) {
  const growing = Math.min(longest, first * 2 ** Math.min(failures - 1, 10));
  return Math.max(growing * (0.6 + 0.4 * Math.random()), retryAfter * 1000 * (1 + 0.2 * Math.random()));
}

const seconds = (milliseconds) => `${Math.max(1, Math.round(milliseconds / 1000))} s`;

/** What is the matter as a sentence, and when it is tried again. */
export const againIn = (problem, pause) =>
  `${asSentence(problem.message)} It is tried again by itself in ${seconds(pause)}.`;

/** Resolves after so many milliseconds; rejects as soon as `signal` calls it off. */
function waiting(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const off = () => {
      clearTimeout(timer);
      reject(new DOMException("called off", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", off);
      resolve();
    }, milliseconds);
    if (signal?.aborted) off();
    signal?.addEventListener("abort", off, { once: true });
  });
}

/**
 * Does what asks the service. Where it has no place now (503), it is asked again after as long as it says, twice at
 * most; `say(words)` is told so. Throws what the last try threw.
 */
export async function patiently(ask, { signal, say }) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (problem) {
      const { status, retryAfter = 0 } = problem;
      if (status !== 503 || retryAfter > LONGEST_SILENCE || tries === TRIES) throw problem;
      const pause = pauseAfter(tries, { retryAfter: retryAfter || USUAL });
      say(againIn(problem, pause));
      await waiting(pause, signal);
    }
  }
}

/**
 * Asks until there is an answer that is the service's own; `say(words)` is told what is the matter, "" when no more.
 * `signal` calls it off.
 */
export async function untilAnswered(ask, say, signal) {
  for (let failures = 1; ; failures++) {
    try {
      const answer = await ask();
      say("");
      return answer;
    } catch (problem) {
      if (problem.name !== "Problem" || isFinal(problem)) throw problem;
      const pause = pauseAfter(failures, problem);
      say(againIn(problem, pause));
      const over = new AbortController();
      const woken = new Promise((resolve) => whenWoken(resolve, over));
      await Promise.race([waiting(pause, signal), woken]).finally(() => over.abort());
    }
  }
}

/** Whether the service itself says that asking again would bring nothing else: what it does not have, or refuses. */
export const isFinal = ({ own, status }) => own && status >= 400 && status < 500 && ![408, 429].includes(status);

/** Calls back whenever the page is looked at again, comes back as it was left, or is on the network again. */
export function whenWoken(wake, { signal } = {}) {
  const seen = () => document.hidden || wake();
  globalThis.document?.addEventListener("visibilitychange", seen, { signal });
  for (const name of ["online", "pageshow"]) globalThis.addEventListener?.(name, wake, { signal });
}
