/** The page's script: tabs, and the inspector that shows the group under the pointer. */

export const SCRIPT: string = `
for (const section of document.querySelectorAll(".component")) {
  const tabs = [...section.querySelectorAll("[role=tab]")];
  const panels = [...section.querySelectorAll(".panel")];
  const choose = (tab) => {
    for (const t of tabs) t.setAttribute("aria-selected", String(t === tab));
    for (const p of panels) p.hidden = p.id !== tab.dataset.panel;
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const to = tabs[i + (key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : tabs.length)];
      if (to) { choose(to); to.focus(); }
    });
  });
  if (tabs.length > 0) choose(tabs[0]);
}
for (const panel of document.querySelectorAll(".panel")) {
  const inspector = panel.querySelector(".inspector");
  if (!inspector) continue;
  let kept;
  const hint = () => {
    const p = document.createElement("p");
    p.className = "hint";
    p.textContent = kept === undefined ? "Point at a group; click to keep it." : "Kept; click again to let it go.";
    return p;
  };
  const marked = (group) => panel.querySelectorAll("[data-group='" + group + "']:not(template)");
  const show = (group) => {
    // The same group again: what the reader opened there stays open.
    if (inspector.dataset.shown === group + kept) return;
    inspector.dataset.shown = group + kept;
    const template = panel.querySelector("template[data-group='" + group + "']");
    if (!template) return;
    inspector.replaceChildren(hint(), template.content.cloneNode(true));
    for (const e of panel.querySelectorAll(".lit")) e.classList.remove("lit");
    for (const e of marked(group)) e.classList.add("lit");
    for (const blob of inspector.querySelectorAll(".blob")) {
      const code = document.getElementById(blob.dataset.code);
      if (code) blob.querySelector("div").replaceChildren(code.content.cloneNode(true));
    }
  };
  for (const e of panel.querySelectorAll("[data-group]:not(template)")) {
    const group = e.dataset.group;
    e.addEventListener("mouseenter", () => { if (kept === undefined) show(group); });
    e.addEventListener("focus", () => show(group));
    const keep = () => { kept = kept === group ? undefined : group; show(group); };
    e.addEventListener("click", (event) => { if (!event.target.closest("details")) keep(); });
    e.addEventListener("keydown", ({ key }) => { if (key === "Enter") keep(); });
  }
  show(panel.dataset.first);
}
`;
