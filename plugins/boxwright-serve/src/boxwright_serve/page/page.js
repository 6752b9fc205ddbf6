const query = (selector) => document.querySelector(selector);
const state = { model: null, images: [], current: null, tuned: true, hidden: new Set(), token: "", early: [] };

// --- The server ---

async function ask(path, options = {}) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  const response = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  const content = await response.json().catch(() => ({ error: response.statusText }));
  if (response.ok) return content;
  const text = response.status === 401 ? content.error : [content.error, content.remedy].filter(Boolean).join(" – ");
  throw Object.assign(new Error(text), { status: response.status });
}

async function connect() {
  try {
    state.model = await ask("model");
  } catch (error) {
    part("login").hidden = error.status !== 401;
    const isFirst = error.status === 401 && !state.token;
    say(isFirst ? "The server needs a token." : `${error.message}.`, !isFirst);
    return;
  }
  part("login").hidden = true;
  const { name, classes } = state.model;
  document.title = part("name").textContent = name;
  part("classes").textContent = classes.map(({ label }) => label).join(", ");
  reset();
  describe();
  say("Ready. Choose, drop or paste images.");
  open(state.early.splice(0));
}

async function detect(image) {
  const started = performance.now();
  for (;;) {
    try {
      image.result = await ask("predict?score=0", { method: "POST", body: image.file, headers: { "Content-Type": "application/octet-stream" } });
      break;
    } catch (error) {
      if (error.status !== 429) throw error; // the queue is full
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  image.milliseconds = performance.now() - started;
}

// --- What is shown ---

const least = (label) => {
  const tuned = state.model.score;
  if (!state.tuned) return Number(part("score").value) / 100;
  return typeof tuned === "number" ? tuned : tuned[label];
};
const colorsOf = (label) => state.model.classes.find((each) => each.label === label) ?? { color: "#888", ink: "#fff" };
const found = (image) => (image.result?.detections ?? []).filter(({ label, score }) => score >= least(label));
const shown = (image) => found(image).filter(({ label }) => !state.hidden.has(label));
const count = (number, word) => `${number} ${number === 1 ? word : `${word}s`}`;

function reset() {
  const { score } = state.model;
  const values = typeof score === "number" ? [score] : Object.values(score);
  state.tuned = true;
  part("score").value = Math.round(100 * Math.min(...values));
  draw();
}

function results(image) {
  const { width, height } = image.result;
  return JSON.stringify({ image: image.name, width, height, detections: shown(image) }, null, 1);
}

function draw() {
  const byClass = state.model && typeof state.model.score !== "number";
  part("threshold").textContent = state.tuned && byClass ? "as tuned" : percent(Number(part("score").value) / 100);
  part("reset").hidden = state.tuned;
  const image = state.current;
  if (!image) return;
  for (const each of state.images) {
    each.button.setAttribute("aria-current", String(each === image));
    each.button.classList.toggle("bad", Boolean(each.error));
  }
  part("strip").hidden = state.images.length < 2;
  document.body.classList.toggle("filled", Boolean(image.result));
  part("results").hidden = !image.result;
  part("counts").hidden = !image.result;
  if (image.error) return say(`${image.name}: ${image.error}`, true);
  if (!image.result) return say(`Detecting in ${image.name} …`);
  paint(image);
  const counts = new Map();
  for (const { label } of found(image)) counts.set(label, (counts.get(label) ?? 0) + 1);
  part("counts").replaceChildren(
    ...[...counts].map(([label, number]) => {
      const item = document.createElement("button");
      item.type = "button";
      item.textContent = `${number} ${label}`;
      item.style.setProperty("--color", colorsOf(label).color);
      item.setAttribute("aria-pressed", String(!state.hidden.has(label)));
      item.onclick = () => {
        if (!state.hidden.delete(label)) state.hidden.add(label);
        draw();
      };
      return item;
    }),
  );
  part("json").textContent = results(image);
  const number = shown(image).length;
  say(`${number ? count(number, "object") : "Nothing"} in ${image.name}, ${Math.round(image.milliseconds)} ms`);
}

const paint = (image) => drawDetections(part("canvas"), image.bitmap, image.result, shown(image), colorsOf);

function describe() {
  const header = state.token ? ' \\\n  -H "Authorization: Bearer $BOXWRIGHT_SERVE_TOKEN"' : "";
  part("program").textContent = `curl --data-binary @photo.jpg${header} \\\n  ${new URL("predict", location.href)}`;
}

// --- Where images come from ---

const decoded = (image) => createImageBitmap(image.file).catch(() => null); // the server reads more formats

// Only the image that is shown keeps its pixels.
function release(image) {
  if (!image || image === state.current) return;
  image.bitmap?.close();
  image.bitmap = null;
}

async function choose(image) {
  const before = state.current;
  state.current = image;
  release(before);
  draw();
  if (image.bitmap !== null) return; // not yet, or still there
  image.bitmap = await decoded(image);
  release(image);
  draw();
}

async function open(files) {
  if (!state.model) state.early.push(...files); // until there is a token
  if (!files.length || !state.model) return;
  const added = [...files].map((file) => ({ file, name: file.name, button: document.createElement("button") }));
  for (const image of added) {
    image.button.type = "button";
    image.button.title = image.name;
    image.button.setAttribute("aria-label", image.name);
    image.button.onclick = () => choose(image);
    state.images.push(image);
    part("strip").append(image.button);
  }
  choose(added[0]);
  for (const image of added) {
    try {
      image.bitmap = await decoded(image);
      thumbnail(image);
      release(image);
      await detect(image);
    } catch (error) {
      image.error = error.message;
      if (error.status === 401) part("login").hidden = false;
    }
    draw();
  }
}

function thumbnail({ bitmap, button }) {
  if (!bitmap) return;
  const small = document.createElement("canvas");
  const scale = 160 / Math.max(bitmap.width, bitmap.height);
  small.width = Math.max(1, bitmap.width * scale);
  small.height = Math.max(1, bitmap.height * scale);
  small.getContext("2d").drawImage(bitmap, 0, 0, small.width, small.height);
  button.replaceChildren(small);
}

async function copy() {
  const text = results(state.current);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    query("#results details").open = true;
    getSelection().selectAllChildren(part("json"));
    document.execCommand("copy"); // where the browser has no clipboard for pages without TLS
  }
  say("Copied.");
}

part("file").onchange = ({ target }) => open([...target.files]).then(() => (target.value = ""));
part("copy").onclick = copy;
query(".stage").onclick = () => {
  if (!state.images.length) part("file").click();
};
part("reset").onclick = reset;
part("score").oninput = () => {
  state.tuned = false;
  draw();
};
part("login").onsubmit = (event) => {
  event.preventDefault();
  state.token = part("token").value.trim();
  part("token").value = "";
  connect();
};
addEventListener("resize", draw);
addEventListener("paste", ({ clipboardData }) => open([...clipboardData.files]));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") open([...event.dataTransfer.files]);
  });
}
// A link may contain the token behind #, which browsers do not send to servers.
if (location.hash.startsWith("#token=")) {
  state.token = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B")).get("token");
  history.replaceState(null, "", location.pathname);
}
connect();
