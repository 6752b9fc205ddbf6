// The image with its boxes: zoom, pan, draw, move, resize. It changes no data; it calls the functions in `on`.

import { pixels } from "./api.js";
import { shape } from "./page.js";

const PREVIEW = 1600;
const CLICK = 4; // screen pixels that a pointer may move in a click
const SIDES = [["n", "w"], ["n", "e"], ["s", "w"], ["s", "e"], ["n"], ["s"], ["w"], ["e"]];

export function color(index) {
  return `hsl(${(index * 137.5 + 20) % 360} 85% ${index % 2 ? 55 : 45}%)`;
}

export class Stage {
  constructor(element, on) {
    this.element = element;
    this.on = on;
    this.canvas = element.querySelector("canvas");
    this.svg = element.querySelector("svg");
    this.scale = 1;
    this.x = this.y = 0; // the place of the image's corner, in screen pixels
    this.boxes = [];
    this.places = []; // where to look
    this.proposals = [];
    this.selected = this.marked = -1;
    this.drawing = this.hidden = false;
    this.pointers = new Map();
    this.gesture = null;
    this.bitmap = this.full = this.part = null;
    this.width = this.height = 0;
    this.shown = -1;
    for (const [name, function_] of Object.entries({ pointerdown: "down", pointermove: "move", pointerup: "up", pointercancel: "cancel" })) {
      this.svg.addEventListener(name, (event) => this[function_](event));
    }
    this.svg.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.resize()).observe(element);
  }

  // Images.

  async show(image, width, height, largest) {
    const again = image === this.shown;
    this.shown = image;
    [this.width, this.height, this.largest] = [width, height, largest];
    if (again) return this.render();
    this.gesture = null;
    this.bitmap = this.full = this.part = null;
    this.loading = false;
    this.fit();
    const small = Math.max(width, height) <= PREVIEW;
    const bitmap = await this.load(image, small ? {} : { side: PREVIEW });
    if (this.shown !== image) return;
    this.bitmap = bitmap;
    if (small) this.full = bitmap;
    this.render();
  }

  async load(image, query) {
    const answer = await fetch(pixels(image, query));
    if (!answer.ok) {
      const content = await answer.json();
      this.on.problem(content.problem, content.remedy);
      return null;
    }
    return createImageBitmap(await answer.blob());
  }

  // The full resolution is loaded when a pixel of the preview is larger than one of the screen.
  async sharpen() {
    const image = this.shown;
    const preview = PREVIEW / Math.max(this.width, this.height);
    if (!this.bitmap || this.full || this.scale * devicePixelRatio <= preview * 1.05) return;
    if (this.width * this.height <= this.largest) {
      if (this.loading) return;
      this.loading = true;
      const full = await this.load(image, {});
      if (this.shown === image) this.full = full;
    } else {
      clearTimeout(this.timer);
      await new Promise((done) => { this.timer = setTimeout(done, 150); });
      const [x1, y1] = this.toImage(0, 0).map((value) => Math.max(0, Math.floor(value)));
      const [x2, y2] = this.toImage(this.element.clientWidth, this.element.clientHeight).map(Math.ceil);
      const area = [x1, y1, Math.min(x2, this.width), Math.min(y2, this.height)];
      if (this.part?.area.join() === area.join() || area[2] - area[0] > 4096 || area[3] - area[1] > 4096) return;
      const bitmap = await this.load(image, { part: area.join() });
      if (this.shown === image && bitmap) this.part = { area, bitmap };
    }
    if (this.shown === image) this.render();
  }

  // View.

  toImage(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  point(event) {
    const frame = this.element.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  fit() {
    const { clientWidth: w, clientHeight: h } = this.element;
    if (!this.width || !w) return;
    this.scale = Math.min((w - 24) / this.width, (h - 24) / this.height);
    this.fitted = this.scale;
    this.x = (w - this.width * this.scale) / 2;
    this.y = (h - this.height * this.scale) / 2;
    this.render();
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.fitted / 4), 64);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.render();
  }

  resize() {
    const ratio = devicePixelRatio;
    this.canvas.width = this.element.clientWidth * ratio;
    this.canvas.height = this.element.clientHeight * ratio;
    this.scale === this.fitted || !this.fitted ? this.fit() : this.render();
  }

  wheel(event) {
    event.preventDefault();
    const [x, y] = this.point(event);
    if (event.ctrlKey || event.metaKey) return this.zoom(Math.exp(-event.deltaY / (event.deltaMode ? 6 : 250)), x, y);
    const step = event.deltaMode ? 30 : 1;
    this.x -= (event.shiftKey ? event.deltaY : event.deltaX) * step;
    this.y -= (event.shiftKey ? 0 : event.deltaY) * step;
    this.render();
  }

  render() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.paint();
      this.outline();
      this.sharpen();
    });
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const bitmap = this.full ?? this.bitmap;
    if (!bitmap) return;
    context.setTransform(this.scale * ratio, 0, 0, this.scale * ratio, this.x * ratio, this.y * ratio);
    context.imageSmoothingEnabled = this.scale < 3;
    context.drawImage(bitmap, 0, 0, this.width, this.height);
    if (this.part && !this.full) {
      const [x1, y1, x2, y2] = this.part.area;
      context.drawImage(this.part.bitmap, x1, y1, x2 - x1, y2 - y1);
    }
  }

  outline() {
    this.svg.replaceChildren();
    Object.assign(this.svg.dataset, { scale: this.scale, x: this.x, y: this.y, image: this.shown, ready: Boolean(this.bitmap) });
    if (!this.hidden) {
      this.proposals.forEach((each, index) => this.rectangle(each.box, each.color, {
        text: `${each.label} ${Math.round(each.score * 100)} %`, dashed: true, selected: index === this.marked,
      }));
      this.boxes.forEach((each, index) => {
        const box = index === this.selected && this.gesture?.box ? this.gesture.box : each.box;
        this.rectangle(box, each.color, { text: each.label, selected: index === this.selected, handles: index === this.selected });
      });
      for (const [x1, y1, x2, y2] of this.places) {
        const [x, y, width, height] = [this.x + x1 * this.scale - 6, this.y + y1 * this.scale - 6, (x2 - x1) * this.scale + 12, (y2 - y1) * this.scale + 12];
        this.svg.append(shape("rect", { x, y, width, height, rx: 8, class: "place" }));
      }
    }
    if (this.gesture?.kind === "draw" && this.gesture.box) this.rectangle(this.gesture.box, "#fff", { selected: true });
    this.on.view(this.scale);
  }

  rectangle([x1, y1, x2, y2], stroke, { text = "", dashed = false, selected = false, handles = false }) {
    const [left, top, width, height] = [this.x + x1 * this.scale, this.y + y1 * this.scale, (x2 - x1) * this.scale, (y2 - y1) * this.scale];
    const add = (kind, attributes) => {
      const element = shape(kind, attributes);
      this.svg.append(element);
      return element;
    };
    const frame = { x: left, y: top, width, height, "stroke-dasharray": dashed ? "6 4" : "none" };
    add("rect", { ...frame, fill: "none", stroke: "#000", "stroke-opacity": 0.5, "stroke-width": selected ? 5 : 3.5 });
    add("rect", { ...frame, fill: stroke, "fill-opacity": selected ? 0.18 : 0.06, stroke, "stroke-width": selected ? 3 : 2 });
    if (text && (selected || width > 24)) {
      const y = top > 18 ? top - 5 : top + 14;
      add("text", { x: left + 2, y, fill: "#fff", stroke: "#000", "stroke-width": 3, "paint-order": "stroke" }).textContent = text;
    }
    if (!handles) return;
    for (const sides of SIDES) {
      const [x, y] = this.handle([left, top, left + width, top + height], sides);
      add("rect", { x: x - 4, y: y - 4, width: 8, height: 8, fill: "#fff", stroke: "#000" });
    }
  }

  handle([x1, y1, x2, y2], sides) {
    const x = sides.includes("w") ? x1 : sides.includes("e") ? x2 : (x1 + x2) / 2;
    const y = sides.includes("n") ? y1 : sides.includes("s") ? y2 : (y1 + y2) / 2;
    return [x, y];
  }

  // Pointers.

  down(event) {
    this.element.focus({ preventScroll: true });
    this.svg.setPointerCapture(event.pointerId);
    const [x, y] = this.point(event);
    this.pointers.set(event.pointerId, [x, y]);
    if (this.pointers.size === 2) {
      this.gesture = { kind: "pinch", ...this.fingers() };
      return this.render();
    }
    if (this.pointers.size > 2) return;
    const near = event.pointerType === "touch" ? 22 : 9;
    const [px, py] = this.toImage(x, y);
    const start = { x, y, px, py, pointer: event.pointerId };
    if (event.button === 1 || event.button === 2) {
      this.gesture = { ...start, kind: "pan" };
      return;
    }
    const selected = this.hidden ? null : this.boxes[this.selected]?.box;
    const sides = selected && !this.drawing && this.sidesAt(selected, px, py, near / this.scale);
    if (sides) this.gesture = { ...start, kind: "resize", sides, old: selected };
    else if (selected && !this.drawing && contains(selected, px, py)) this.gesture = { ...start, kind: "shift", old: selected };
    else this.gesture = { ...start, kind: "draw" };
  }

  sidesAt(box, x, y, near) {
    const own = (side) => (side === "n" || side === "s" ? y : x) - box[{ w: 0, n: 1, e: 2, s: 3 }[side]];
    const size = Math.min(near, (box[2] - box[0]) / 3 + near / 3, (box[3] - box[1]) / 3 + near / 3);
    if (x < box[0] - near || x > box[2] + near || y < box[1] - near || y > box[3] + near) return null;
    const found = ["n", "s", "w", "e"].filter((side) => Math.abs(own(side)) <= size);
    const nearest = (one, other) => found.includes(one) && found.includes(other)
      ? [Math.abs(own(one)) < Math.abs(own(other)) ? one : other] : found.filter((side) => side === one || side === other);
    const sides = [...nearest("n", "s"), ...nearest("w", "e")];
    return sides.length ? sides : null;
  }

  fingers() {
    const [one, other] = [...this.pointers.values()];
    const distance = Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1);
    return { distance, middle: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2] };
  }

  move(event) {
    const [x, y] = this.point(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.hover(x, y);
    this.pointers.set(event.pointerId, [x, y]);
    const gesture = this.gesture;
    if (gesture?.kind === "pinch" && this.pointers.size >= 2) {
      const { middle, distance } = this.fingers();
      this.x += middle[0] - gesture.middle[0];
      this.y += middle[1] - gesture.middle[1];
      this.zoom(distance / gesture.distance, ...middle);
      Object.assign(gesture, { middle, distance });
      return;
    }
    if (!gesture || gesture.pointer !== event.pointerId) return;
    if (gesture.kind === "pan") {
      this.x += x - before[0];
      this.y += y - before[1];
      return this.render();
    }
    if (!gesture.moved && Math.hypot(x - gesture.x, y - gesture.y) < CLICK) return;
    gesture.moved = true;
    gesture.box = this.changed(gesture, ...this.toImage(x, y));
    this.render();
  }

  changed({ kind, px, py, old, sides }, x, y) {
    const [w, h] = [this.width, this.height];
    const whole = (value, most) => Math.min(Math.max(Math.round(value), 0), most);
    if (kind === "draw") {
      const [x1, x2] = [whole(px, w), whole(x, w)].sort((a, b) => a - b);
      const [y1, y2] = [whole(py, h), whole(y, h)].sort((a, b) => a - b);
      return [x1, y1, x2, y2];
    }
    if (kind === "shift") return shifted(old, Math.round(x - px), Math.round(y - py), w, h);
    const box = [...old];
    if (sides.includes("w")) box[0] = Math.min(whole(x, w), box[2] - 1);
    if (sides.includes("e")) box[2] = Math.max(whole(x, w), box[0] + 1);
    if (sides.includes("n")) box[1] = Math.min(whole(y, h), box[3] - 1);
    if (sides.includes("s")) box[3] = Math.max(whole(y, h), box[1] + 1);
    return box;
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const gesture = this.gesture;
    if (!gesture || (gesture.kind !== "pinch" && gesture.pointer !== event.pointerId)) return;
    if (gesture.kind === "pinch" && this.pointers.size) return;
    this.gesture = null;
    const box = gesture.box;
    if (gesture.kind === "pan" || gesture.kind === "pinch") this.render();
    else if (!gesture.moved) this.click(gesture);
    else if (gesture.kind === "draw") box[2] > box[0] && box[3] > box[1] ? this.on.draw(box) : this.render();
    else if (box.join() !== gesture.old.join()) this.on.change(this.selected, box);
    else this.render();
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.gesture = null;
    this.render();
  }

  // A click selects the smallest box there, the next one the box around it.
  click({ px, py }) {
    if (this.hidden) return;
    const there = (each) => contains(each.box, px, py);
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const sorted = this.boxes.filter(there).sort((a, b) => area(a) - area(b));
    const proposal = this.proposals.filter(there).sort((a, b) => area(a) - area(b))[0];
    if (proposal && (!sorted.length || area(proposal) < area(sorted[0]))) return this.on.reject(proposal);
    const next = sorted[(sorted.indexOf(this.boxes[this.selected]) + 1) % (sorted.length || 1)];
    this.on.select(next ? this.boxes.indexOf(next) : -1);
  }

  hover(x, y) {
    const [px, py] = this.toImage(x, y);
    const selected = this.boxes[this.selected]?.box;
    this.element.classList.toggle("moving", Boolean(selected && !this.drawing && contains(selected, px, py)));
  }
}

export function shifted([x1, y1, x2, y2], dx, dy, width, height) {
  const x = Math.min(Math.max(dx, -x1), Math.max(width - x2, -x1));
  const y = Math.min(Math.max(dy, -y1), Math.max(height - y2, -y1));
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}

const contains = ([x1, y1, x2, y2], x, y) => x >= x1 && x <= x2 && y >= y1 && y <= y2;
