// The boxes that a model proposes. Nothing becomes a label without a person.

import { callAside } from "./api.js";
import { $, say } from "./page.js";

const SAME = 0.5; // proposals with a greater IoU with a box are of the same object

export class Proposals {
  constructor(app) {
    this.app = app;
    this.list = []; // the ones that are shown, the best first
    this.found = new Map(); // all, by image
    this.rejected = new Map();
    this.score = null; // null: the score of each class, as tuned
    this.marked = 0;
  }

  start(model) {
    this.model = model;
    $("proposals").hidden = !model;
    if (!model) return;
    $("score").oninput = () => { this.score = Number($("score").value); this.update(); };
    $("accept").onclick = () => this.space(false);
    $("accept-all").onclick = () => this.space(true);
    $("restore").onclick = () => { this.rejected.delete(this.app.image); this.update(); };
    this.show();
  }

  async show() {
    this.marked = 0;
    this.update();
    const { image } = this.app;
    if (!this.model || this.found.has(image) || this.waiting === image) return;
    this.waiting = image;
    try {
      let answer;
      do {
        $("proposal-count").textContent = "the model is looking …";
        answer = await callAside("proposals", { image });
        if (answer.problem) throw new Error(answer.problem);
      } while (!answer.ready && this.app.image === image);
      if (answer.ready) {
        this.found.set(image, answer.boxes.map(([label, x1, y1, x2, y2, score, likely]) => ({ label, box: [x1, y1, x2, y2], score, likely })));
        for (const name of answer.classes ?? []) if (!this.app.classes.includes(name)) this.app.classes.push(name);
        this.app.label ??= this.app.classes[0] ?? null;
      }
    } catch (error) {
      this.model = false;
      say(`The model proposes nothing: ${error.message}`, true);
    }
    if (this.waiting === image) this.waiting = null;
    if (this.app.image === image) this.app.render();
  }

  // Chooses what to show, after an edit or another score.
  update() {
    const { app } = this;
    const boxes = app.state?.boxes ?? [];
    const rejected = this.rejected.get(app.image) ?? new Set();
    const all = (app.state && this.found.get(app.image)) || [];
    this.list = all.filter((each) => !rejected.has(each) && (this.score === null ? each.likely : each.score >= this.score)
      && !boxes.some(({ box }) => iou(box, each.box) > SAME));
    this.marked = Math.min(this.marked, Math.max(this.list.length - 1, 0));
    app.stage.proposals = this.list.map((each) => ({ ...each, each, color: app.colorOf(each.label) }));
    app.stage.marked = this.marked;
    app.stage.render();
    const least = all.filter((each) => each.likely).at(-1)?.score ?? 0.3;
    if (this.score === null) $("score").value = least;
    $("score-value").textContent = this.score === null ? "by class" : this.score.toFixed(2);
    $("proposal-count").textContent = this.found.has(app.image) ? `${this.list.length} to decide` : "the model is looking …";
    $("accept").disabled = $("accept-all").disabled = !this.list.length;
    $("restore").hidden = !rejected.size;
  }

  // Accepts the marked proposal, or all of them; returns false if there is none.
  space(all) {
    if (this.model && (this.app.stage.hidden || !this.found.has(this.app.image))) {
      say("The proposals are not shown yet, or hidden: h shows them.");
      return true;
    }
    let accepted = this.list.slice(this.marked, this.marked + 1);
    if (all) { // as if one by one: the best at each place
      accepted = [];
      for (const each of this.list) if (!accepted.some(({ box }) => iou(box, each.box) > SAME)) accepted.push(each);
    }
    if (!accepted.length) return false;
    this.app.edit([...this.app.state.boxes, ...accepted.map(({ label, box }) => ({ label, box, model: true, annotator: "model" }))]);
    return true;
  }

  rejectMarked() {
    const each = this.list[this.marked];
    if (each && !this.app.stage.hidden) this.reject({ each });
  }

  reject({ each }) {
    const { image } = this.app;
    this.rejected.set(image, (this.rejected.get(image) ?? new Set()).add(each));
    this.update();
    this.app.render();
  }
}

export function iou(one, other) {
  const wide = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const high = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  if (wide <= 0 || high <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (wide * high) / (area(one) + area(other) - wide * high);
}
