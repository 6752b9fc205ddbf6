// The detector: an image in, detections out. It runs in a worker, so that the page stays usable.
// Preprocessing and decoder compute what boxwright computes in Python, not what a canvas would.
let session, settings, Tensor;

const unpacked = async (text) => {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

async function open(message) {
  settings = message.settings;
  const code = URL.createObjectURL(new Blob([await unpacked(message.runtime)], { type: "text/javascript" }));
  const ort = await import(code);
  URL.revokeObjectURL(code);
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page
  ort.env.wasm.wasmBinary = await unpacked(message.wasm);
  Tensor = ort.Tensor;
  session = await ort.InferenceSession.create(await unpacked(message.model), { executionProviders: ["wasm"] });
}

// Python's round: halves go to the even number.
const rounded = (value) => {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
};

// The weights of Pillow's resize for one axis: where the input of each output pixel begins, and the share of each.
function weights(size, target, span, radius, filter) {
  const scale = span / target;
  const widening = Math.max(scale, 1);
  return Array.from({ length: target }, (_, position) => {
    const center = (position + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - radius * widening + 0.5));
    const end = Math.min(size, Math.trunc(center + radius * widening + 0.5));
    const shares = [];
    for (let x = first; x < end; x++) shares.push(filter((x - center + 0.5) / widening));
    const sum = shares.reduce((one, other) => one + other, 0);
    return { first, shares: shares.map((share) => share / sum) };
  });
}

const box = (x) => (x > -0.5 && x <= 0.5 ? 1 : 0);
const triangle = (x) => Math.max(0, 1 - Math.abs(x));

// Resizes along one axis: `inner` is the distance of neighbors on it, `outer` that of its lines.
function along(data, result, axis, lines, inner, outer, resultOuter, round) {
  for (let line = 0; line < lines; line++) {
    const [from, to] = [Math.floor(line / inner) * outer + (line % inner), Math.floor(line / inner) * resultOuter + (line % inner)];
    axis.forEach(({ first, shares }, position) => {
      let sum = 0;
      for (let i = 0; i < shares.length; i++) sum += data[from + (first + i) * inner] * shares[i];
      result[to + position * inner] = round(sum);
    });
  }
}

// Resizes `data`, (height, width, 3), as Pillow does: first each row, then each column.
function resize(image, width, height, spans, radius, filter, kind, round, share) {
  let { data } = image;
  const axis = (size, target, span) =>
    weights(size, target, span, radius, filter).map((each) => ({ ...each, shares: each.shares.map(share) }));
  if (width !== image.width || spans[0] !== image.width) {
    const result = new kind(width * image.height * 3);
    along(data, result, axis(image.width, width, spans[0]), image.height * 3, 3, image.width * 3, width * 3, round);
    data = result;
  }
  if (height !== image.height || spans[1] !== image.height) {
    const result = new kind(width * height * 3);
    along(data, result, axis(image.height, height, spans[1]), width * 3, width * 3, 0, 0, round);
    data = result;
  }
  return { width, height, data };
}

// Pillow computes bytes with weights of 22 bits.
const BITS = 22;
const asInteger = (share) => Math.trunc(share * 2 ** BITS + 0.5);
const asByte = (sum) => Math.min(255, (sum + 2 ** (BITS - 1)) >> BITS);

// Averages blocks of whole pixels, on white, strip by strip: a phone's photo does not fit into one canvas everywhere.
function averaged(bitmap, across, down) {
  const width = Math.ceil(bitmap.width / across);
  const height = Math.ceil(bitmap.height / down);
  const rows = down * Math.ceil(256 / down);
  const canvas = new OffscreenCanvas(bitmap.width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const data = new Uint8Array(width * height * 3);
  for (let top = 0; top < bitmap.height; top += rows) {
    const used = Math.min(rows, bitmap.height - top);
    context.fillStyle = "white";
    context.fillRect(0, 0, bitmap.width, used);
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, bitmap.width, used).data;
    for (let y = 0; y < used; y += down) {
      for (let x = 0; x < bitmap.width; x += across) {
        const bottom = Math.min(y + down, used);
        const right = Math.min(x + across, bitmap.width);
        const count = (bottom - y) * (right - x);
        let [red, green, blue] = [0, 0, 0];
        for (let row = y; row < bottom; row++) {
          for (let place = (row * bitmap.width + x) * 4; place < (row * bitmap.width + right) * 4; place += 4) {
            red += strip[place];
            green += strip[place + 1];
            blue += strip[place + 2];
          }
        }
        const place = (((top + y) / down) * width + x / across) * 3;
        const share = Math.trunc(Math.fround(2 ** 24 / count)); // as Pillow divides
        for (const [band, sum] of [red, green, blue].entries()) data[place + band] = ((sum + (count >> 1)) * share) / 2 ** 24;
      }
    }
  }
  return { width, height, data };
}

// Stretches `data` as tf.compat.v1.image.resize_bilinear does: pixel x of the result is at x * old / new.
function stretched(image, width, height) {
  const between = (old, target) => {
    const scale = Math.fround(old / target);
    return Array.from({ length: target }, (_, position) => {
      const at = Math.fround(position * scale);
      const before = Math.floor(at);
      return [Math.min(before, old - 1), Math.min(before + 1, old - 1), at - before];
    });
  };
  const columns = between(image.width, width);
  const data = new Float32Array(width * height * 3);
  let place = 0;
  for (const [top, bottom, down] of between(image.height, height)) {
    for (const [left, right, across] of columns) {
      for (let band = 0; band < 3; band++) {
        const [above, below] = [top, bottom].map((row) => {
          const [one, other] = [left, right].map((column) => image.data[(row * image.width + column) * 3 + band]);
          return one + (other - one) * across;
        });
        data[place++] = above + (below - above) * down;
      }
    }
  }
  return { width, height, data };
}

// Returns the input of the network, (height, width, 3) float32 from 0 to 255.
function prepared(bitmap, jpeg) {
  const { width, height, reduced } = settings.input;
  if (!reduced) return stretched(averaged(bitmap, 1, 1), width, height);
  const full = [bitmap.width, bitmap.height];
  // Python decodes a large JPEG at a half, a quarter or an eighth of its size, which is nearly an average.
  const enough = (scale) => full.every((side, i) => side >= scale * reduced[i]);
  const scale = (jpeg && [8, 4, 2].find(enough)) || 1;
  const size = full.map((side) => Math.ceil(side / scale));
  const factor = Math.min(1, Math.max(reduced[0] / size[0], reduced[1] / size[1]));
  const smaller = size.map((side) => Math.max(1, rounded(side * factor)));
  const gap = 3; // blocks leave at least so many times the pixels that are needed
  const blocks = scale > 1 ? [scale, scale] : size.map((side, i) => Math.max(1, Math.trunc(side / smaller[i] / gap)));
  const spans = scale > 1 ? size : full.map((side, i) => side / blocks[i]);
  const small = resize(averaged(bitmap, ...blocks), ...smaller, spans, 0.5, box, Uint8Array, asByte, asInteger);
  const same = (value) => value;
  small.data = Float32Array.from(small.data);
  return resize(small, width, height, [small.width, small.height], 1, triangle, Float32Array, same, same);
}

// Non-maximum suppression; returns [box, score, class], best first.
function selected(boxes, scores) {
  const { score_threshold, iou_threshold, max_detections, pre_nms, soft_nms_sigma, suppression, clips_first } = settings.decoder;
  const classes = settings.labels.length;
  const { width, height } = settings.input;
  const inside = (value, i) => Math.min(Math.max(value, 0), i % 2 ? height : width);
  const limit = Math.fround(score_threshold);
  const places = [];
  scores.forEach((score, place) => score > limit && places.push(place));
  places.sort((one, other) => scores[other] - scores[one] || one - other);
  const candidates = places.slice(0, pre_nms).map((place) => {
    const row = Math.floor(place / classes) * 4;
    const corners = Array.from(boxes.subarray(row, row + 4), clips_first ? inside : undefined);
    const area = (corners[2] - corners[0]) * (corners[3] - corners[1]);
    return { corners, area, number: place % classes, left: scores[place], score: 0 };
  });
  const chosen = [];
  while (chosen.length < max_detections && candidates.length) {
    const best = candidates.reduce((one, other) => (other.left > one.left ? other : one));
    if (best.left <= limit) break;
    const least = Array.isArray(iou_threshold) ? iou_threshold[best.number] : iou_threshold;
    best.score = best.left;
    best.left = 0;
    chosen.push(best);
    for (const rival of candidates) {
      if (rival.left <= 0 || (rival.number !== best.number && suppression !== "all")) continue;
      const [a, b] = [best.corners, rival.corners];
      const shared =
        Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
      const union = best.area + rival.area - shared;
      const overlap = union > 0 ? shared / union : 0;
      if (soft_nms_sigma > 0) rival.left *= Math.exp(-(overlap ** 2) / soft_nms_sigma);
      else if (overlap > least) rival.left = 0;
    }
  }
  return chosen.map((each) => ({ ...each, corners: each.corners.map(inside) }));
}

async function detect(image) {
  const started = performance.now();
  const file = image instanceof Blob;
  const bitmap = file ? await createImageBitmap(image, { colorSpaceConversion: "none" }) : image;
  const start = new Uint8Array(file ? await image.slice(0, 2).arrayBuffer() : 2);
  const { width, height } = bitmap;
  const { data } = prepared(bitmap, start[0] === 0xff && start[1] === 0xd8);
  bitmap.close();
  const images = new Tensor("float32", data, [1, settings.input.height, settings.input.width, 3]);
  const { boxes, scores } = await session.run({ images });
  const scale = [width / settings.input.width, height / settings.input.height];
  const detections = selected(boxes.data, scores.data).map(({ corners, number, score }) => ({
    label: settings.labels[number],
    score: Math.min(Math.max(score, 0), 1),
    box: corners.map((value, i) => value * scale[i % 2]),
  }));
  return { width, height, detections, milliseconds: performance.now() - started };
}

onmessage = async ({ data: { id, image, ...message } }) => {
  try {
    postMessage({ id, result: await (image ? detect(image) : open(message)) });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
};
