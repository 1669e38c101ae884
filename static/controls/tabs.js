// Tabs: one panel of several is shown; arrows go round.

/**
 * Wires the tabs of a tablist to the panels they control; `opened(tab)` is called when one is opened. Returns what
 * opens one.
 */
export function mountTabs(list, opened) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  function open(tab) {
    for (const other of tabs) {
      other.setAttribute("aria-selected", other === tab);
      other.tabIndex = other === tab ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
    opened(tab);
  }
  for (const tab of tabs) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow")) return;
      const next = tabs[(tabs.indexOf(tab) + (event.key === "ArrowLeft" ? tabs.length - 1 : 1)) % tabs.length];
      open(next);
      next.focus();
    });
  }
  return open;
}
