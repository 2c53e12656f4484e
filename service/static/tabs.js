/** Tabs as the ARIA authoring practices describe them: arrow keys move, and moving selects. */

const isSelected = (tab) => tab.getAttribute("aria-selected") === "true";

/** Wire a tab list; `selected` is called with the id of the panel that is shown. Returns a function that selects one. */
export function tabs(list, selected) {
  const all = [...list.querySelectorAll("[role=tab]")];

  function select(chosen) {
    if (isSelected(chosen)) return;
    for (const tab of all) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
    selected(chosen.getAttribute("aria-controls"));
  }

  list.addEventListener("click", (event) => all.includes(event.target) && select(event.target));
  list.addEventListener("keydown", ({ key }) => {
    const index = all.findIndex(isSelected);
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1 + all.length, Home: 0, End: all.length - 1 }[key];
    if (next === undefined) return;
    all[next % all.length].focus();
    select(all[next % all.length]);
  });
  return (panel) => select(all.find((tab) => tab.getAttribute("aria-controls") === panel));
}
