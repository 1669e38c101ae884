// What the network writes as it learns: the sample of the step that is looked at, and those before it, each with its
// age.

import { rounded, whole } from "../../data/formatting.js";
import { placeAt } from "../../data/run.js";
import { make } from "../../figures/figure.js";
import { write } from "../../figures/writing.js";
import { numberOf } from "./marks.js";

const OLDER = 12;

function mount(element, stage) {
  const root = make(element, "div", "samples");
  let shownFor = "";

  function show(at) {
    const chosen = stage.runs.map((run) =>
      run.samples.length && run.samples[0].step <= at ? placeAt(run.samples, at) : -1,
    );
    const key = `${chosen} ${Math.round(at)}`;
    if (key === shownFor) return;
    shownFor = key;
    root.replaceChildren();
    stage.runs.forEach((run, k) => {
      if (stage.runs.length > 1) make(root, "h3", "", { text: `${numberOf(run)} ${run.cell.title}` });
      if (chosen[k] < 0) {
        const text = run.live ? "The first sample is on its way." : "There is no sample of this step.";
        make(root, "p", "hint", { text });
        return;
      }
      const many = stage.runs.length > 1 ? 1 : OLDER;
      for (const sample of run.samples.slice(Math.max(0, chosen[k] + 1 - many), chosen[k] + 1).reverse()) {
        const article = make(root, "article", "sample");
        make(article, "p", "age", { text: age(run, sample.step, at) });
        write(make(article, "pre", ""), sample.text.replace(/^\n+/, ""), { lines: true });
      }
    });
  }

  return {
    draw() {
      shownFor = "";
      show(stage.at);
    },
    step: show,
    destroy() {
      root.remove();
    },
  };
}

function age({ recipe }, step, at) {
  if (!step) return "before the first step";
  const read = `, ${rounded(step * recipe.batch_size * recipe.sequence_length)} characters read`;
  const ago = Math.round(at) - step;
  return `step ${whole(step)}${read}${ago > 0 ? `; ${whole(ago)} steps ago` : "; now"}`;
}

export default { id: "samples", title: "Samples", mount };
