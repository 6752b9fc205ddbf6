// All images, filters, and edits of many images at once.

import { call, callAside, pixels } from "./api.js";
import { $, ask, complain, make, plural, say, shape } from "./page.js";

const PAGE = 120;
const SORTS = { dataset: "in the order of the dataset", boxes: "most boxes first", smallest: "smallest box first" };
const MODEL = { learn: "what to label next", suspects: "suspected label errors" };
const NONE = { name: "", label: "", split: "", state: "", finding: "", least: "", most: "", score: "", sort: "dataset" };

export class Grid {
  constructor(app) {
    this.app = app;
    this.open = false;
    this.filter = { ...NONE };
    this.reasons = new Map(); // why the model would look at an image, by position
    this.places = new Map(); // and where in it
    this.scores = {};
    this.more = new IntersectionObserver((entries) => { if (entries.some((each) => each.isIntersecting)) this.add(); });
  }

  // The positions of the images that pass the filters, which d and a step through.
  shown() {
    const { name, label, split, state, finding, least, most, score, sort } = this.filter;
    const states = { done: (row) => isDone(row), left: (row) => !isDone(row), empty: (row) => !count(row), verified: (row) => row.verified,
      unverified: (row) => !row.verified, unsaved: (row) => row.unsaved };
    const rows = this.app.rows.map((row, index) => [row, index]).filter(([row, index]) =>
      (!MODEL[sort] || this.reasons.has(index)) && (score === "" || this.scores[index] >= Number(score)) &&
      (!name || row.name.toLowerCase().includes(name.toLowerCase())) && (!label || row.labels[label]) && (!split || row.split === split)
      && (!state || states[state](row)) && (!finding || row.findings.includes(finding))
      && (least === "" || (row.smallest !== null && row.smallest >= Number(least))) && (most === "" || (row.smallest !== null && row.smallest < Number(most))));
    const keys = { boxes: ([row]) => -count(row), smallest: ([row]) => row.smallest ?? Infinity };
    const places = new Map([...this.reasons.keys()].map((index, place) => [index, place]));
    for (const each of Object.keys(MODEL)) keys[each] = ([, index]) => places.get(index);
    if (keys[sort]) rows.sort((one, other) => keys[sort](one) - keys[sort](other));
    return rows.map(([, index]) => index);
  }

  toggle(open = !this.open) {
    this.open = open;
    $("grid").hidden = !open;
    $("grid-button").setAttribute("aria-pressed", open);
    if (open) this.render();
    else $("thumbnails").replaceChildren();
  }

  refresh() {
    if (this.open) this.render();
  }

  render() {
    this.renderFilters();
    this.list = this.shown();
    this.renderBulk();
    this.shownCount = 0;
    $("thumbnails").replaceChildren();
    this.add();
  }

  renderFilters() {
    const values = (of) => [...new Set(this.app.rows.flatMap(of))].filter(Boolean).sort();
    const choice = (key, all, options) => {
      const pairs = Array.isArray(options) ? options.map((each) => [each, each]) : Object.entries(options);
      const select = make("select", { ariaLabel: all, onchange: (event) => this.set(key, event.target.value) },
        ...(all ? [make("option", { value: "", textContent: all })] : []), ...pairs.map(([value, text]) => make("option", { value, textContent: text })));
      select.value = this.filter[key];
      return select;
    };
    const number = (key, text) => make("label", { textContent: `${text} ` }, make("input", {
      type: "number", min: 0, step: "any", value: this.filter[key], onchange: (event) => this.set(key, event.target.value) }));
    const name = make("input", { placeholder: "File name", value: this.filter.name, onchange: (event) => this.set("name", event.target.value) });
    const parts = [name, choice("label", "Any class", this.app.classes),
      choice("state", "Done or not", { left: "left to do", done: "done", empty: "without boxes", verified: "checked", unverified: "not checked", unsaved: "not saved" })];
    const splits = values((row) => row.split);
    const findings = values((row) => row.findings);
    if (splits.length) parts.push(choice("split", "Any split", splits));
    if (findings.length) parts.push(choice("finding", "With or without problems",
      Object.fromEntries(findings.map((each) => [each, each.replaceAll("_", " ").replaceAll("picture", "image")]))));
    parts.push(number("least", "Smallest side from"), number("most", "below"));
    if (this.app.dataset.model) parts.push(number("score", "Best score from"));
    parts.push(choice("sort", "", { ...SORTS, ...(this.app.dataset.model ? MODEL : {}) }));
    if (Object.keys(NONE).some((key) => this.filter[key] !== NONE[key])) {
      parts.push(make("button", { type: "button", textContent: "Clear filters", onclick: () => { this.filter = { ...NONE }; this.render(); } }));
    }
    $("filters").replaceChildren(...parts);
    $("filters").onsubmit = (event) => event.preventDefault();
  }

  async set(key, value) {
    this.filter[key] = value;
    try {
      if (key === "score") this.scores = (await callAside("scores", {})).scores;
      if (key === "sort" && MODEL[value]) await this.order(value);
    } catch (error) {
      complain(error);
    }
    this.render();
  }

  // Asks for what to look at next, of the images that the model has looked at so far.
  async order(kind) {
    const { images, done } = await callAside("order", { kind });
    this.reasons = new Map();
    this.places = new Map();
    for (const [index, text, box] of images) {
      this.reasons.set(index, this.reasons.has(index) ? `${this.reasons.get(index)}; ${text}` : text);
      if (box) this.places.set(index, [...(this.places.get(index) ?? []), box]);
    }
    if (done < this.app.rows.length) say(`The model has looked at ${done} of ${plural(this.app.rows.length, "image")}; choose this again later for the others.`);
  }

  renderBulk() {
    const { rows } = this.app;
    const done = this.list.filter((index) => isDone(rows[index])).length;
    const button = (text, action) => make("button", { textContent: text, disabled: !this.list.length, onclick: action });
    $("bulk").replaceChildren(`${plural(this.list.length, "image")} · ${done} done · ${this.list.length - done} left`,
      button("Change a class …", () => this.change("rename")), button("Delete boxes …", () => this.change("delete")));
  }

  add() {
    const next = this.list.slice(this.shownCount, this.shownCount + PAGE);
    this.shownCount += next.length;
    $("thumbnails").append(...next.map((index) => this.thumbnail(index)));
    this.more.disconnect();
    if (this.shownCount < this.list.length) this.more.observe($("thumbnails").lastElementChild);
    this.outline(next).catch(complain);
  }

  // Draws the boxes on the thumbnails of images.
  async outline(images) {
    const { boxes } = await callAside("boxes", { images });
    for (const index of images) {
      const frame = document.querySelector(`figure[data-image="${index}"] .frame`);
      const { width, height } = this.app.rows[index];
      const drawing = shape("svg", { viewBox: `0 0 ${width} ${height}` });
      for (const [label, x1, y1, x2, y2] of boxes[index]) {
        drawing.append(shape("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, fill: "none", stroke: this.app.colorOf(label), "stroke-width": 2, "vector-effect": "non-scaling-stroke" }));
      }
      frame?.append(drawing);
    }
  }

  thumbnail(index) {
    const row = this.app.rows[index];
    const image = make("img", { src: pixels(index, { side: 240 }), loading: "lazy", alt: "", decoding: "async" });
    const mark = `${count(row) ? plural(count(row), "box", "boxes") : ""}${row.verified ? " ✓" : ""}`;
    const figure = make("figure", { className: index === this.app.image ? "current" : "", title: row.name, onclick: () => { this.toggle(false); this.app.open(index); } },
      make("div", { className: "frame" }, image),
      ...(MODEL[this.filter.sort] ? [make("div", { className: "reason", textContent: this.reasons.get(index) })] : []),
      make("figcaption", {}, make("span", { className: "label", textContent: row.name }), make("span", { textContent: `${row.unsaved ? "● " : ""}${mark}` })));
    figure.dataset.image = index;
    return figure;
  }

  // Edits of all images in the list: asks what, shows a preview, and applies it as one edit.
  async change(kind) {
    const classes = (all) => make("select", {}, ...(all ? [make("option", { value: "", textContent: "of any class" })] : []),
      ...this.app.classes.map((name) => make("option", { value: name, textContent: name })));
    const from = classes(kind === "delete");
    const to = make("input", { placeholder: "new name", maxLength: 200 });
    const side = make("input", { type: "number", min: 0, value: kind === "delete" ? 3 : 0 });
    const fields = kind === "rename" ? [make("p", {}, "Class ", from, " becomes ", to)]
      : [make("p", {}, "Boxes ", from, " with a side below ", side, " pixels (0: all sizes)")];
    const where = `In the ${plural(this.list.length, "image")} of the list.`;
    if ((await ask(kind === "rename" ? "Change a class" : "Delete boxes", where, { ok: "Preview", cancel: "Cancel" }, ...fields)) !== "ok") return;
    if (kind === "rename" && !to.value.trim()) return;
    const body = { images: this.list, label: from.value, ...(kind === "rename" ? { to: to.value.trim() } : { side: side.value || 0 }) };
    try {
      const { boxes, changed } = await call("bulk", { ...body, preview: true });
      if (!boxes) return say("No box would change.");
      const sample = make("div", { id: "preview" }, ...changed.slice(0, 8).map((index) => make("img", { src: pixels(index, { side: 120 }), alt: "", title: this.app.rows[index].name, height: 70 })));
      const names = changed.slice(0, 5).map((index) => this.app.rows[index].name).join(", ") + (changed.length > 5 ? " …" : "");
      const text = `${kind === "rename" ? "Changes" : "Deletes"} ${plural(boxes, "box", "boxes")} in ${plural(changed.length, "image")}: ${names}\n\nOne undo takes all of it back, and nothing is written before you save.`;
      if ((await ask("Preview", text, { ok: "Apply", cancel: "Cancel" }, sample)) !== "ok") return;
      this.app.take(await call("bulk", { ...body, preview: false }));
      this.render();
    } catch (error) {
      complain(error);
    }
  }
}

const count = (row) => Object.values(row.labels).reduce((sum, each) => sum + each, 0);

export const isDone = (row) => row.verified || count(row) > 0;
