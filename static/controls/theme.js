// The colours of the page: as the system has them, light or dark.

const THEMES = { auto: ["◐", "as the system"], light: ["○", "light"], dark: ["●", "dark"] };

/** A button that goes round the themes of a stage. */
export function mountTheme(button, stage) {
  const show = () => {
    const [sign, name] = THEMES[stage.state.theme];
    button.textContent = sign;
    button.title = `Colours: ${name}`;
    button.setAttribute("aria-label", `Colours: ${name}. Change`);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    stage.choose({ theme: names[(names.indexOf(stage.state.theme) + 1) % names.length] });
    show();
  });
  show();
}
