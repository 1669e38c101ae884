// The colours of the page: as the system has them, light or dark.

import { write, writeAttribute } from "../figures/writing.js";

const THEMES = { auto: ["◐", "as the system"], light: ["○", "light"], dark: ["●", "dark"] };

/** A button that goes round the themes of a stage. */
export function mountTheme(button, stage) {
  const show = () => {
    const [sign, name] = THEMES[stage.state.theme];
    write(button, sign);
    writeAttribute(button, "title", `Colours: ${name}`);
    writeAttribute(button, "aria-label", `Colours: ${name}. Change`);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    stage.choose({ theme: names[(names.indexOf(stage.state.theme) + 1) % names.length] });
    show();
  });
  show();
}
