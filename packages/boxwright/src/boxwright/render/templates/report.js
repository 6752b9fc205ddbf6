"use strict";
(() => {
  const gallery = document.querySelector("#gallery");
  if (!gallery) return;
  const figures = [...gallery.querySelectorAll("figure")];
  const grid = gallery.querySelector(".shots");
  const kind = gallery.querySelector("#kind");
  const label = gallery.querySelector("#label");
  const order = gallery.querySelector("#order");
  const count = gallery.querySelector("#count");
  const only = gallery.querySelector("#only");
  const dialog = document.querySelector("dialog");
  const info = new Map(figures.map((figure, place) => [figure, {
    place,
    name: figure.dataset.name,
    cells: figure.dataset.cells.split(" ").filter(Boolean).map((text) => {
      const [cell, number] = text.split(":");
      const [truth, predicted] = cell.split("-");
      return {cell, truth, predicted, number: Number(number), kind: kindOf(truth, predicted)};
    }),
  }]));
  let chosen = null;
  let sorted = "worst";
  let dimmed = false;

  function kindOf(truth, predicted) {
    if (truth === predicted) return "found";
    if (predicted === "b") return "missed";
    return truth === "b" ? "false" : "wrong";
  }

  function matches(each) {
    if (chosen && chosen.cell) return each.cell === chosen.cell;
    const kinds = kind.value;
    const right = kinds === "all" || (kinds === "mistakes" ? each.kind !== "found" : each.kind === kinds);
    return right && (label.value === "" || each.truth === label.value || each.predicted === label.value);
  }

  function update() {
    const rows = [];
    let shown = 0;
    const everything = !chosen && kind.value === "all" && label.value === "";
    const dims = !everything && !(chosen && chosen.name);
    for (const figure of figures) {
      const {cells, place, name} = info.get(figure);
      const fitting = cells.filter(matches);
      const number = fitting.reduce((sum, each) => sum + each.number, 0);
      const visible = chosen && chosen.name ? name === chosen.name : everything || number > 0;
      figure.hidden = !visible;
      rows.push({figure, place, name, number});
      if (!visible) continue;
      shown += 1;
      if (dims || dimmed) {
        const keys = new Set(fitting.map((each) => each.cell));
        for (const shape of figure.querySelectorAll("[data-cell]")) {
          shape.classList.toggle("dim", dims && !keys.has(shape.dataset.cell));
        }
      }
    }
    dimmed = dims || (dimmed && shown < figures.length);
    const compare = {
      worst: (a, b) => a.place - b.place,
      fewest: (a, b) => b.place - a.place,
      matching: (a, b) => b.number - a.number || a.place - b.place,
      name: (a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}),
    }[order.value];
    if (sorted !== order.value || order.value === "matching") {
      rows.sort(compare);
      grid.append(...rows.map((row) => row.figure));
      sorted = order.value;
    }
    count.textContent = shown === figures.length
      ? `${figures.length} images` : `${shown} of ${figures.length} images`;
    only.hidden = !chosen;
    only.querySelector("span").textContent = chosen ? chosen.text : "";
    for (const button of document.querySelectorAll("button[data-cell]")) {
      button.setAttribute("aria-pressed", String(Boolean(chosen && chosen.cell === button.dataset.cell)));
    }
  }

  function choose(value) {
    chosen = value;
    if (chosen && chosen.cell) order.value = "matching";
    update();
  }

  for (const select of [kind, label, order]) {
    select.addEventListener("change", () => {
      if (select !== order) chosen = null;
      update();
    });
  }
  only.addEventListener("click", () => choose(null));
  for (const toggle of gallery.querySelectorAll("[data-toggle]")) {
    toggle.addEventListener("change", () => {
      document.body.classList.toggle(`no-${toggle.dataset.toggle}`, !toggle.checked);
    });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-cell], button[data-image]");
    if (!button) return;
    choose(button.dataset.cell
      ? {cell: button.dataset.cell, text: button.title}
      : {name: button.dataset.image, text: button.dataset.image});
    gallery.scrollIntoView({block: "start"});
  });

  let home = null;
  function show(figure) {
    restore();
    home = figure;
    const frame = figure.querySelector(".frame");
    const slot = dialog.querySelector(".slot");
    slot.style.setProperty("--ratio", figure.dataset.ratio);
    slot.append(frame);
    dialog.querySelector("p").textContent = `${figure.dataset.name} · ${figure.querySelector("small").textContent}`;
    if (!dialog.open) dialog.showModal();
  }
  function restore() {
    if (home) home.querySelector(".open").append(dialog.querySelector(".frame"));
    home = null;
  }
  function step(by) {
    const visible = [...grid.querySelectorAll("figure:not([hidden])")];
    const next = visible[visible.indexOf(home) + by];
    if (next) show(next);
  }
  for (const figure of figures) figure.querySelector(".open").addEventListener("click", () => show(figure));
  dialog.addEventListener("close", () => {
    const button = home && home.querySelector(".open");
    restore();
    if (button) button.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.dataset.step) step(Number(event.target.dataset.step));
    else if (!event.target.closest("button")) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
  });
  gallery.classList.add("live");
  update();
})();
