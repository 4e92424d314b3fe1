// The canvas: drawing with a pointer, showing pictures, and what the model gets of both.

const PEN = 26;
/** Sides of the scans that the bundled model was trained on. */
const SCAN = 8;

/** @param changed called after each stroke and picture with what the model is to see */
export function createDrawing(canvas, changed) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width, height } = canvas;
  let last;

  const clear = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
  };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
  };

  const stroke = (event) => {
    const at = place(event);
    context.strokeStyle = "#fff";
    context.lineWidth = PEN;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...at);
    context.stroke();
    last = at;
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last !== undefined) stroke(event);
  });
  const end = () => {
    if (last === undefined) return;
    last = undefined;
    const scan = scanOf(context.getImageData(0, 0, width, height));
    if (scan !== undefined) changed(scan);
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  clear();
  return {
    clear,
    /** Shows a picture; the model gets the file itself, decoded by fovea to the pixels that it decodes everywhere. */
    async show(blob) {
      const picture = await createImageBitmap(blob);
      const scale = Math.min(width / picture.width, height / picture.height);
      const [w, h] = [picture.width * scale, picture.height * scale];
      clear();
      context.imageSmoothingEnabled = scale < 1;
      context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
      picture.close();
      return changed(blob);
    },
  };
}

/** What was drawn, as the scans are: cut to the ink, and each of 8 x 8 samples the mean of its square. Nothing for no ink. */
function scanOf({ width, height, data }) {
  const ink = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : data[4 * (y * width + x)]);
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (ink(x, y) === 0) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
    }
  }
  if (left >= right) return undefined;
  const cell = Math.ceil(Math.max(right - left, bottom - top) / SCAN);
  const [x0, y0] = [(left + right - SCAN * cell) >> 1, (top + bottom - SCAN * cell) >> 1];
  const scan = new ImageData(SCAN, SCAN);
  for (let i = 0; i < SCAN * SCAN; i++) {
    const [x1, y1] = [x0 + (i % SCAN) * cell, y0 + Math.floor(i / SCAN) * cell];
    let sum = 0;
    for (let y = y1; y < y1 + cell; y++) for (let x = x1; x < x1 + cell; x++) sum += ink(x, y);
    scan.data.fill(sum / (cell * cell), 4 * i, 4 * i + 3);
    scan.data[4 * i + 3] = 255;
  }
  return scan;
}
