// What a screenshot of the example's page shows.

/** `{ width, height, at(x, y) }` of a PNG file, colours as one number. */
export async function decodePicture(bytes) {
  const { decode } = await import("fast-png");
  const { width, height, channels, data } = decode(bytes);
  const at = (x, y) => {
    const from = (Math.round(y) * width + Math.round(x)) * channels;
    return (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
  };
  return { width, height, at };
}

export function distinctColours({ width, height, at }) {
  const found = new Set();
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) found.add(at(x, y));
  return found.size;
}

/** Sentences about bars that are not as long as their shares; boxes as the page reports them, with `share` from 0 to 1. */
export function barsDrawn(picture, boxes) {
  const problems = [];
  // Below the text's line and inside of rounded corners.
  const colour = ({ x, y, width, height }, part) =>
    picture.at(x + Math.min(Math.max(part * width, 5), width - 5), y + height - 3);
  const [first] = boxes;
  if (first === undefined || first.share < 0.2)
    return ["no label has much of the probability, so that no bar is long."];
  const bar = colour(first, first.share * 0.5);
  const background = picture.at(first.x + first.width / 2, first.y - 2);
  if (bar === background) problems.push("the first bar has the colour of the page.");
  for (const box of boxes) {
    if (box.share > 0.05 && colour(box, box.share * 0.9) !== bar) problems.push(`a bar of ${box.share} is too short.`);
    if (box.share < 0.9 && colour(box, box.share + 0.08) === bar) problems.push(`a bar of ${box.share} is too long.`);
  }
  return problems;
}
