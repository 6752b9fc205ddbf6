"use strict";
const part = (id) => document.getElementById(id);
const say = (text, wrong = false) => {
  part("status").textContent = text;
  part("status").classList.toggle("wrong", wrong);
};
const percent = (score) => `${Math.round(score * 100)} %`;

// Draws an image and detections, whose boxes are in its pixels, into a canvas of a suitable size.
function drawDetections(canvas, bitmap, { width, height }, boxes, colorsOf) {
  const side = Math.max(width, height);
  const scale = Math.min(1600 / side, Math.max(1, 800 / side)); // small images are enlarged
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (bitmap) context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  // Lines and letters have the same size on every screen.
  const unit = canvas.width / (canvas.clientWidth || canvas.width);
  const size = 13 * unit;
  const high = size * 1.5;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const { label, box } of [...boxes].reverse()) {
    const [left, top, right, bottom] = box.map((value) => value * scale);
    context.lineWidth = 2.5 * unit;
    context.strokeStyle = colorsOf(label).color;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  const tags = [];
  for (const { label, score, box } of boxes) {
    const [left, top] = box.map((value) => value * scale);
    const text = `${label.length > 40 ? `${label.slice(0, 39)}…` : label} ${percent(score)}`;
    const room = context.measureText(text).width + 8 * unit;
    const x = Math.max(0, Math.min(left - 1.25 * unit, canvas.width - room));
    let y = top >= high ? top - high : Math.max(0, top);
    // Below the tags that are there, unless there are too many.
    for (let i = 0; i < 5 && tags.some((tag) => Math.abs(tag.y - y) < high && tag.x < x + room && x < tag.x + tag.room); i++) y += high;
    tags.push({ x, y, room });
    context.fillStyle = colorsOf(label).color;
    context.fillRect(x, y, room, high);
    context.fillStyle = colorsOf(label).ink;
    context.fillText(text, x + 4 * unit, y + size * 0.8);
  }
}
