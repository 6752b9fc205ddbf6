const settings = JSON.parse(part("settings").textContent);
const state = { image: null, result: null, name: "", camera: null, busy: false };

// --- The detector, in a worker ---

const code = URL.createObjectURL(new Blob([part("worker").textContent], { type: "text/javascript" }));
const worker = new Worker(code);
const waiting = new Map();
const ask = (message, transfer = []) =>
  new Promise((resolve, reject) => {
    const id = crypto.getRandomValues(new Uint32Array(1))[0];
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, ...message }, transfer);
  });
worker.onmessage = ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(result);
  else reject(new Error(error));
};
worker.onerror = (event) => waiting.forEach(({ reject }) => reject(new Error(event.message || "the worker cannot be started")));
const packed = Object.fromEntries(["runtime", "wasm", "model"].map((id) => [id, part(id).textContent.trim()]));
const ready = ask({ settings, ...packed });

// For programs: an image file as a Blob, to what "Copy JSON" copies.
globalThis.detect = async (image) => {
  await ready;
  return ask({ image });
};

// --- What is shown ---

const threshold = () => Number(part("score").value) / 100;
const shown = () => (state.result?.detections ?? []).filter(({ score }) => score >= threshold());

function results() {
  const { width, height } = state.result;
  const round = (value, digits) => Number(value.toFixed(digits));
  const detections = shown().map(({ label, score, box }) => ({
    label,
    score: round(score, 4),
    box: box.map((value) => round(value, 2)),
  }));
  return JSON.stringify({ image: state.name, width, height, score: threshold(), detections }, null, 1);
}

function draw() {
  part("threshold").textContent = percent(threshold());
  if (!state.result) return;
  document.body.classList.add("filled");
  const found = shown();
  const colorsOf = (label) => settings.colors[settings.labels.indexOf(label)];
  drawDetections(part("canvas"), state.image, state.result, found, colorsOf);
  const counts = new Map();
  for (const { label } of found) counts.set(label, (counts.get(label) ?? 0) + 1);
  part("counts").replaceChildren(
    ...[...counts].map(([label, count]) => {
      const item = document.createElement("li");
      item.textContent = `${count} ${label}`;
      item.style.setProperty("--color", colorsOf(label).color);
      return item;
    }),
  );
  part("json").textContent = results();
  const { milliseconds } = state.result;
  say(`${found.length} ${found.length === 1 ? "object" : "objects"} in ${state.name}, ${Math.round(milliseconds)} ms`);
}

async function show(image, name) {
  if (state.busy) return;
  state.busy = true;
  try {
    await ready;
    const bitmap = await createImageBitmap(image); // with its colors, and upright
    const given = image instanceof Blob ? image : await createImageBitmap(bitmap);
    const result = await ask({ image: given }, image instanceof Blob ? [] : [given]);
    state.image?.close();
    Object.assign(state, { image: bitmap, result, name });
    draw();
  } catch (error) {
    say(`${name}: ${error.message}`, true);
  } finally {
    state.busy = false;
  }
}

// --- Where images come from ---

async function open(files) {
  const [file] = files;
  if (!file) return;
  stop();
  if (!state.result) say(`Detecting in ${file.name} …`);
  await show(file, file.name);
}

function stop() {
  state.camera?.getTracks().forEach((track) => track.stop());
  state.camera = null;
  part("camera").textContent = "Camera";
}

async function film() {
  if (state.camera) return stop();
  try {
    if (!navigator.mediaDevices) throw new Error("this browser does not let a local page use the camera");
    state.camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say(`No camera: ${error.message}`, true);
  }
  part("camera").textContent = "Stop";
  const video = document.createElement("video");
  Object.assign(video, { srcObject: state.camera, muted: true, playsInline: true });
  await video.play();
  while (state.camera?.active) {
    await show(video, "camera");
    await new Promise(requestAnimationFrame);
  }
}

async function copy() {
  const text = results();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    part("details").open = true;
    getSelection().selectAllChildren(part("json"));
    document.execCommand("copy"); // where pages from files may not use the clipboard
  }
  say("Copied.");
}

part("file").onchange = ({ target }) => open(target.files).then(() => (target.value = ""));
part("camera").onclick = film;
part("copy").onclick = copy;
part("score").oninput = draw;
addEventListener("resize", draw);
addEventListener("paste", ({ clipboardData }) => open(clipboardData.files));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files);
  });
}
draw();
ready.then(
  () => say("Ready. Choose, drop or paste a photo."),
  (error) => say(`The detector cannot be started: ${error.message}`, true),
);
