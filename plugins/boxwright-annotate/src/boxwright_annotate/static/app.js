// The page: one image at a time, its boxes and classes, keys, saving.

import { busy, call, callAside } from "./api.js";
import { Grid, isDone } from "./grid.js";
import { $, ask, complain, make, plural, say } from "./page.js";
import { Proposals } from "./proposals.js";
import { color, shifted, Stage } from "./stage.js";

const KEYS = [
  ["w", "draw a box, also over others"], ["d, a", "next, previous image"], ["1 to 9", "class of the box, and of the next ones"],
  ["Delete", "delete the selected box; without one, reject the marked proposal"], ["Ctrl-D", "duplicate the box"], ["arrows", "move the box by a pixel, with Shift by ten; Alt changes its size"],
  ["Ctrl-Z, Ctrl-Y", "undo, redo"], ["Ctrl-S", "save all edited images"], ["v", "checked: a person has looked at all of the image"],
  ["Space", "accept a proposal; without one, mark as checked"], ["Shift-Space", "accept all shown proposals"],
  ["Tab", "next box"], ["Escape", "select nothing"], ["+, -, f", "zoom in, zoom out, whole image"], ["h", "hide the boxes"], ["g", "all images"],
];

class App {
  states = new Map(); // the boxes of the image that is shown, and of those with edits on their way
  early = new Set(); // boxes that were drawn before the others were known
  going = 0; // requests to undo or redo that are not answered

  // The boxes of the image that is shown, with all edits, and the revision of the server; null while they are loaded.
  get state() {
    return this.states.get(this.image) ?? null;
  }

  async start() {
    this.stage = new Stage($("stage"), {
      draw: (box) => this.drawn(box),
      change: (index, box) => this.change(index, { box }),
      select: (index) => this.select(index),
      reject: (proposal) => this.proposals.reject(proposal),
      problem: (problem, remedy) => complain({ message: problem, remedy }),
      view: (scale) => { $("zoom").textContent = `${Math.round(scale * 100)} %`; },
    });
    this.proposals = new Proposals(this);
    this.grid = new Grid(this);
    this.dataset = await call("dataset");
    this.rows = this.dataset.images;
    this.classes = this.dataset.classes;
    this.label = this.classes[0] ?? null;
    this.unsaved = this.rows.filter((row) => row.unsaved).length;
    this.listen();
    $("next-step").textContent = this.dataset.next_step;
    $("next-step").hidden = !this.dataset.next_step;
    document.title = `${this.dataset.uri} · boxwright annotate`;
    if (this.dataset.recovered) say(`${plural(this.dataset.recovered, "image")} with edits from last time, which were not saved: they are here again.`);
    if (this.dataset.skipped.length) say(`Items that cannot be read, and stay unchanged:\n${this.dataset.skipped.join("\n")}`, true);
    const asked = Number(location.hash.slice(1)) - 1;
    const first = this.rows.findIndex((row) => !isDone(row));
    await this.open(this.rows[asked] ? asked : Math.max(first, 0));
    this.proposals.start(this.dataset.model);
  }

  // Images.

  async open(image) {
    if (!this.rows[image]) return;
    if (!this.state?.pending) this.states.delete(this.image);
    this.image = image;
    history.replaceState(null, "", `#${image + 1}`);
    const row = this.rows[image];
    const shown = this.stage.show(image, row.width, row.height, this.dataset.largest);
    this.fresh = null;
    this.selected = -1;
    this.render();
    await Promise.all([this.load(image), shown]).catch(complain);
    this.proposals.show();
  }

  async load(image = this.image) {
    this.take(await call("image", { image }));
  }

  // Takes over what the server answers.
  take(answer) {
    for (const state of answer.images ?? []) {
      this.rows[state.image] = { ...this.rows[state.image], ...state, boxes: undefined };
      const { image, revision, verified } = state;
      const known = this.states.get(image);
      if (known?.pending && known.revision === revision) continue; // the next edit is on its way
      if (image !== this.image && ![...this.early].some((each) => each.image === image)) {
        this.states.delete(image);
        continue;
      }
      const boxes = state.boxes.map(([label, x1, y1, x2, y2, annotator], origin) => ({ label, box: [x1, y1, x2, y2], annotator, origin }));
      if (image === this.image && boxes.length !== known?.boxes.length) this.selected = Math.min(this.selected, boxes.length - 1);
      this.states.set(image, { revision, verified, boxes, pending: 0 });
    }
    this.classes = answer.classes ?? this.classes;
    this.label ??= this.classes[0] ?? null;
    this.unsaved = answer.unsaved ?? this.unsaved;
    [this.canUndo, this.canRedo] = [answer.can_undo ?? this.canUndo, answer.can_redo ?? this.canRedo];
    this.flush();
    this.render();
  }

  step(by) {
    const shown = this.grid.shown();
    const at = shown.indexOf(this.image);
    const next = at < 0 ? shown[0] : shown[at + by];
    if (next === undefined) say(by > 0 ? "This is the last image." : "This is the first image.");
    else this.open(next);
  }

  // Edits.

  async edit(boxes, verified, image = this.image) {
    const state = this.states.get(image);
    if (!state || this.going) return;
    if (state.failed) return this.load(image).catch(complain);
    const sent = boxes.map(({ label, box, origin = null, model = false }) => [label, ...box, origin, model]);
    state.boxes = boxes.map((each, origin) => ({ ...each, origin, model: false }));
    if (verified !== undefined) state.verified = verified;
    state.pending += 1;
    this.render();
    try {
      const answer = await call("edit", () => {
        if (state.failed) throw state.failed; // it is based on an edit that was refused
        return { image, boxes: sent, revision: state.revision, verified };
      });
      state.pending -= 1;
      state.revision = answer.images[0].revision;
      this.take(answer);
    } catch (error) {
      if (state.failed) return;
      state.failed = error;
      state.pending = 0;
      complain(error);
      await this.load(image).catch(complain);
      if (error.status === 409) await ask("This image has changed", `${error.message}. Your last change of ${this.rows[image].name} was not applied; the image is shown as it is now.`, { ok: "Continue" });
    }
  }

  drawn(box, label = this.label, image = this.image) {
    this.toggle("drawing", false);
    if (!label) return this.nameFirst(box);
    this.early.add({ image, label, box });
    this.flush();
  }

  flush() {
    for (const each of this.going ? [] : [...this.early]) {
      const { image, label, box } = each;
      const state = this.states.get(image);
      if (!state) continue;
      this.early.delete(each);
      if (image === this.image) this.selected = this.fresh = state.boxes.length;
      this.edit([...state.boxes, { label, box }], undefined, image);
    }
  }

  // The first box of a dataset without classes.
  async nameFirst(box) {
    const { image } = this;
    const input = make("input", { maxLength: 200, placeholder: "for example: apple", autofocus: true });
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") $("dialog").querySelector("button").click(); });
    const answer = ask("What is in the box?", "The name of its class. Keys 1 to 9 set the class of a box.", { ok: "Add the box", cancel: "Cancel" }, input);
    if ((await answer) === "ok" && input.value.trim() && (await this.addClass(input.value))) this.drawn(box, this.label, image);
    else this.stage.render();
  }

  async addClass(name) {
    try {
      const answer = await call("class", { name });
      [this.classes, this.label] = [answer.classes, answer.name];
      this.render();
      return answer.name;
    } catch (error) {
      complain(error);
      return null;
    }
  }

  change(index, changes) {
    this.edit(this.state.boxes.map((each, at) => (at === index ? { ...each, ...changes } : each)));
  }

  remove(index) {
    if (!this.state?.boxes[index]) return this.proposals.rejectMarked();
    this.selected = -1;
    this.edit(this.state.boxes.filter((_, at) => at !== index));
  }

  duplicate() {
    const box = this.state?.boxes[this.selected];
    if (!box) return;
    const { width, height } = this.rows[this.image];
    const moved = shifted(box.box, 10, 10, width, height);
    this.selected = this.state.boxes.length;
    this.edit([...this.state.boxes, { label: box.label, box: moved }]);
  }

  nudge(dx, dy, resize) {
    const box = this.state?.boxes[this.selected]?.box;
    if (!box) return;
    const { width, height } = this.rows[this.image];
    const grown = [box[0], box[1], Math.min(Math.max(box[2] + dx, box[0] + 1), width), Math.min(Math.max(box[3] + dy, box[1] + 1), height)];
    this.change(this.selected, { box: resize ? grown : shifted(box, dx, dy, width, height) });
  }

  choose(label) {
    this.label = label;
    if (this.state?.boxes[this.selected] && this.state.boxes[this.selected].label !== label) this.change(this.selected, { label });
    else this.render();
  }

  select(index) {
    this.selected = index;
    this.fresh = null;
    if (this.state?.boxes[index]) this.label = this.state.boxes[index].label;
    this.render();
  }

  verify(verified = !this.state?.verified) {
    if (this.state) this.edit(this.state.boxes, verified);
  }

  async back(name) {
    this.going += 1;
    const answer = await call(name).catch(complain);
    this.going -= 1;
    if (!answer) return this.flush();
    const [first] = answer.images;
    if (first) this.selected = -1;
    this.take(answer);
    this.grid.refresh();
    if (!first) return say(name === "undo" ? "Nothing to undo." : "Nothing to redo.");
    if (answer.images.length === 1 && first.image !== this.image) await this.open(first.image);
  }

  async save(overwrite = []) {
    let shown = this.unsaved > 100;
    if (shown) say("Saving …");
    const timer = shown && setInterval(async () => {
      const { written, images } = await callAside("saving", {}).catch(() => ({}));
      if (shown && images) say(`Saving: ${written.toLocaleString("en")} of ${plural(images, "image")} …`);
    }, 500);
    const end = () => { shown = false; clearInterval(timer); };
    try {
      const answer = await call("save", { overwrite }).finally(end);
      this.take(answer);
      this.grid.refresh();
      const more = answer.kept.length > 3 ? ` and ${answer.kept.length - 3} more` : "";
      const kept = answer.kept.length ? `\nAs they were before: ${answer.kept.slice(0, 3).join(", ")}${more}` : "";
      const losses = answer.losses ? `\nThe format ${this.dataset.format} does not store: ${answer.losses}` : "";
      say(answer.saved ? `Saved ${plural(answer.saved, "image")}.${kept}${losses}` : "There is nothing to save.");
    } catch (error) {
      if (error.status !== 409) return complain(error);
      const names = error.images.slice(0, 8).map((image) => this.rows[image].name).join(", ");
      const choice = await ask("Changed by another program", `Since you edited them here, another program has changed the annotations of ${plural(error.images.length, "image")}: ${names}.\n\nNothing was saved yet. Which annotations do you want?`, {
        cancel: "Decide later", mine: "Mine: replace the file", theirs: "Those of the file: drop my edits of these",
      });
      if (choice === "mine") await this.save([...overwrite, ...error.images]);
      if (choice === "theirs") {
        this.take(await call("discard", { images: error.images }));
        await this.save(overwrite);
      }
    }
  }

  // Saves, and continues with what follows in the terminal, such as a training.
  async end() {
    await this.save();
    if (this.unsaved) return;
    await call("end").catch(complain);
    ask(this.dataset.next_step, "Everything is saved. The terminal shows how it continues; this window can be closed.", { ok: "Close" });
  }

  // Rendering.

  toggle(name, value) {
    this.stage[name] = value;
    $({ drawing: "draw", hidden: "hide" }[name]).setAttribute("aria-pressed", value);
    this.stage.render();
  }

  colorOf(label) {
    const index = this.classes.indexOf(label);
    return color(index < 0 ? this.classes.length : index);
  }

  render() {
    const row = this.rows[this.image];
    const boxes = this.state?.boxes ?? [];
    $("name").textContent = row.name;
    $("position").textContent = `${this.image + 1} of ${this.rows.length}${row.split ? ` · ${row.split}` : ""} · ${row.width} × ${row.height}`;
    const done = this.rows.filter(isDone).length;
    Object.assign($("done"), { max: this.rows.length, value: done });
    $("counts").textContent = `${done} done · ${this.rows.length - done} left`;
    $("save").textContent = this.unsaved ? `Save ${plural(this.unsaved, "image")}` : "Saved";
    $("save").classList.toggle("primary", this.unsaved > 0);
    $("undo").disabled = !this.canUndo;
    $("redo").disabled = !this.canRedo;
    $("verified").setAttribute("aria-pressed", Boolean(this.state?.verified));
    $("verified").textContent = this.state?.verified ? "✓ Checked" : "Mark as checked";
    this.renderClasses();
    this.renderBoxes(boxes);
    this.proposals.update();
    $("hint").textContent = this.hint(boxes);
    this.stage.boxes = boxes.map((each) => ({ ...each, color: this.colorOf(each.label) }));
    this.stage.places = (this.looksForErrors && this.grid.places.get(this.image)) || [];
    this.stage.selected = this.selected;
    this.stage.render();
  }

  get looksForErrors() {
    return this.grid.filter.sort === "suspects";
  }

  hint(boxes) {
    const drawn = boxes[this.selected];
    if (this.looksForErrors && this.grid.reasons.has(this.image)) return this.grid.reasons.get(this.image);
    if (drawn?.origin === this.fresh) return `${drawn.label} · to change it, press 1 to 9, or choose or add a class on the right`;
    if (this.proposals.list.length) return "Space accepts the marked proposal, Delete rejects it, Shift-Space accepts all. A click rejects any of them.";
    if (!this.state || boxes.length || this.proposals.waiting === this.image) return "";
    if (this.state.verified) return "Checked: there is nothing to find in this image.";
    return "Drag to draw a box around an object. If there is none, mark the image as checked (v).";
  }

  renderClasses() {
    const counts = new Map();
    for (const { label } of this.state?.boxes ?? []) counts.set(label, (counts.get(label) ?? 0) + 1);
    $("classes").replaceChildren(...this.classes.map((name, index) => make("li", {
      className: name === this.label ? "current" : "", title: name, onclick: () => this.choose(name),
    }, swatch(this.colorOf(name)), make("span", { className: "label", textContent: name }), make("small", { textContent: counts.get(name) ?? "" }),
    ...(index < 9 ? [make("kbd", { textContent: index + 1 })] : []))));
    if (this.label !== this.visible) $("classes").querySelector(".current")?.scrollIntoView({ block: "nearest" });
    this.visible = this.label; // a person may scroll away from it
  }

  renderBoxes(boxes) {
    $("box-count").textContent = boxes.length || "none";
    if (document.activeElement?.closest("#boxes select")) return; // it may be open
    $("boxes").replaceChildren(...boxes.map((each, index) => {
      const current = index === this.selected;
      const select = current ? make("select", { ariaLabel: "Class", onchange: (event) => this.choose(event.target.value), onblur: () => this.render() },
        ...this.classes.map((name) => make("option", { value: name, textContent: name, selected: name === each.label })))
        : make("span", { className: "label", textContent: each.label });
      const item = make("li", {
        className: current ? "current" : "",
        title: each.box.map((value) => Math.round(value * 100) / 100).join(", "),
        onclick: (event) => { if (event.target.tagName !== "SELECT") this.select(index); },
      }, swatch(this.colorOf(each.label)), select, make("small", { textContent: each.annotator === "model" ? "accepted" : "" }),
      make("button", { textContent: "✕", title: "Delete", ariaLabel: `Delete ${each.label}`, onclick: (event) => { event.stopPropagation(); this.remove(index); } }));
      return item;
    }));
    $("boxes").querySelector(".current")?.scrollIntoView({ block: "nearest" });
  }

  // Input.

  listen() {
    const actions = {
      previous: () => this.step(-1), next: () => this.step(1), undo: () => this.back("undo"), redo: () => this.back("redo"),
      save: () => this.save(), verified: () => this.verify(), draw: () => this.toggle("drawing", !this.stage.drawing),
      hide: () => this.toggle("hidden", !this.stage.hidden), fit: () => this.stage.fit(), "zoom-in": () => this.stage.zoom(1.4),
      "zoom-out": () => this.stage.zoom(1 / 1.4), "grid-button": () => this.grid.toggle(), "help-button": () => this.help(), "next-step": () => this.end(),
    };
    for (const [id, action] of Object.entries(actions)) $(id).onclick = action;
    $("new-class").onsubmit = async (event) => {
      event.preventDefault();
      const name = await this.addClass($("class-name").value);
      if (name) this.choose(name);
      if (name) $("class-name").value = "";
      $("class-name").blur();
    };
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("focus", () => { if (this.state && !busy()) this.load().catch(complain); });
    addEventListener("beforeunload", (event) => { if (busy()) event.preventDefault(); });
  }

  key(event) {
    if ($("dialog").open) return;
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range";
    if (typing && !(control && key === "s")) {
      if (key === "Escape" || (key === "Enter" && event.target.tagName === "SELECT")) event.target.blur();
      return;
    }
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (event.target.type === "range" && (arrows || key === "Tab")) return;
    const by = event.shiftKey ? 10 : 1;
    const next = this.selected + (event.shiftKey ? -1 : 1);
    const withControl = { s: () => this.save(), d: () => this.duplicate(), z: () => this.back(event.shiftKey ? "redo" : "undo"), y: () => this.back("redo") };
    const plain = {
      w: () => this.toggle("drawing", !this.stage.drawing), d: () => this.step(1), a: () => this.step(-1), v: () => this.verify(),
      f: () => this.stage.fit(), h: () => this.toggle("hidden", !this.stage.hidden), g: () => this.grid.toggle(), "?": () => this.help(),
      "+": () => this.stage.zoom(1.4), "=": () => this.stage.zoom(1.4), "-": () => this.stage.zoom(1 / 1.4),
      Delete: () => this.remove(this.selected), Backspace: () => this.remove(this.selected), Escape: () => this.escape(),
      Tab: this.state?.boxes[next] && (() => this.select(next)), // after the last, the focus moves
      " ": () => event.repeat || this.proposals.space(event.shiftKey) || this.state?.verified || this.verify(),
    };
    let action = control ? withControl[key] : arrows ? () => this.nudge(arrows[0] * by, arrows[1] * by, event.altKey) : plain[key];
    const number = Number(key);
    if (!control && number >= 1 && this.classes[number - 1]) action = () => this.choose(this.classes[number - 1]);
    if (this.grid.open && !["g", "Escape", "?", "s", "z", "y"].includes(key)) action = null;
    if (key === "Tab" && (event.target.tagName === "BUTTON" || this.grid.open)) action = null; // leave the focus to the keyboard
    if (!action || (key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    action();
  }

  escape() {
    if (this.grid.open) return this.grid.toggle();
    this.stage.gesture = null;
    this.toggle("drawing", false);
    this.select(-1);
  }

  help() {
    const rows = KEYS.map(([keys, text]) => make("tr", {}, make("td", {}, make("kbd", { textContent: keys })), make("td", { textContent: text })));
    ask("Keys and help", "Drag to draw a box. Click a box to select it; then drag it, or its sides and corners. Scroll to move a zoomed image, Ctrl-scroll or pinch to zoom. Every edit is kept at once, also if this computer is switched off; Save writes it to the dataset.", { ok: "Close" }, make("table", {}, ...rows));
  }
}

function swatch(background) {
  const element = make("span", { className: "swatch" });
  element.style.background = background;
  return element;
}

const app = new App();
app.start().catch(complain);
