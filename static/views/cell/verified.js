// The mark that the gradients on the page are right: asked once a trace, when the page rests.

import { LONGEST_TEXT } from "../../data/address.js";
import { patiently } from "../../data/patience.js";
import { asSentence, postJson } from "../../data/stream.js";
import { make, retext } from "../../figures/figure.js";

const REST = 700; // ms without play or a new text before the service is asked
const whenIdle = globalThis.requestIdleCallback ?? ((callback) => setTimeout(callback)); // Safari has none

/**
 * A line under the gradient; returns {consider(), stop()}. `consider` is called whenever something moved and costs
 * nothing then.
 */
export function verifiedMark(parent, stage) {
  const line = make(parent, "p", "cell-verified", { role: "status" });
  let seen = null;
  let timer = 0;
  let asking = null;
  let asked = false;

  function forget() {
    clearTimeout(timer);
    asking?.abort();
    [timer, asking, asked] = [0, null, false];
    say("", true);
  }

  function say(text, right) {
    retext(line, text);
    line.classList.toggle("is-wrong", right === false);
    line.classList.toggle("is-unknown", right === null);
  }

  async function ask() {
    timer = 0;
    if (!waits()) return;
    asked = true;
    asking = new AbortController();
    const { signal } = asking;
    try {
      const asking = () => postJson("/api/verification", { ...stage.reader.request, loss: stage.state.loss }, signal);
      const found = await patiently(asking, { signal, say: () => {} });
      if (signal.aborted) return;
      const error = found.relative_error.toExponential(0).replace("-", "−");
      if (found.verified) say(`✓ gradients verified against finite differences (${error})`, true);
      else say(`These gradients differ from finite differences by ${error}: do not trust them.`, false);
    } catch (problem) {
      // without an answer there is no mark; only what it would have cost is worth a word
      if (problem.own && problem.status === 422) say(`Not verified. ${asSentence(problem.message)}`, null);
    }
  }

  const waits = () =>
    !asked &&
    !stage.state.trace &&
    stage.timeline === seen &&
    seen.done &&
    seen.backwardFrom < seen.steps &&
    seen.losses.some(Number.isFinite) && // nothing comes back from no loss
    !stage.clock.playing &&
    stage.timeline.steps <= LONGEST_TEXT;

  return {
    consider() {
      if (stage.timeline !== seen) {
        seen = stage.timeline;
        forget();
      }
      if (waits()) timer ||= setTimeout(() => whenIdle(ask), REST);
      else if (timer) {
        clearTimeout(timer);
        timer = 0;
      }
    },
    stop: forget,
  };
}
