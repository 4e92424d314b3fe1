/** Positions by a convolution over frames (Baevski et al. 2020, section 2), of groups of channels, with a normed weight. */
import type { GraphBuilder, Node } from "../../runtime/abi/encoder.ts";
import { activation } from "../../runtime/nn/mod.ts";
import type { Wav2Vec2Config } from "./config.ts";

/**
 * [hidden_size, size * channels of a group]: g v / |v|, the length being that of all that lies at one place of the kernel
 * (Salimans and Kingma 2016).
 */
function normedWeight(b: GraphBuilder, prefix: string, size: number, width: number, channels: number): Node {
  const lengths = b.reshape(b.weight(`${prefix}parametrizations.weight.original0`, [1, 1, size]), [size, 1]);
  const directions = b.weight(`${prefix}parametrizations.weight.original1`, [width, channels, size]);
  const places = b.reshape(b.transpose(directions, [2, 0, 1]), [size, width * channels]);
  const norms = b.unary("sqrt", b.unary("reduce_sum", b.mul(places, places)));
  const normed = b.mul(places, b.div(lengths, norms));
  return b.reshape(b.transpose(b.reshape(normed, [size, width, channels]), [1, 0, 2]), [width, size * channels]);
}

/**
 * x [batch, frames, hidden_size] -> the same, through the convolution and its activation: a frame sees half a kernel before
 * it and behind it, zeros beyond the ends. An even kernel sees one more before.
 */
export function positionConvolution(b: GraphBuilder, x: Node, prefix: string, config: Wav2Vec2Config): Node {
  const { hiddenSize: width, positionSize: size, positionGroups: groups } = config;
  const [batch, frames] = x.shape;
  const channels = width / groups;
  // Each group's channels side by side, so that the frames of a window are one row.
  const apart = b.transpose(b.reshape(x, [batch, frames, groups, channels]), [2, 0, 1, 3]);
  const before = Math.floor(size / 2);
  const zeros = (count: number): readonly Node[] =>
    count === 0 ? [] : [b.broadcastTo(b.constant(0), [groups, batch, count, channels])];
  const padded = b.concat([...zeros(before), apart, ...zeros(size - 1 - before)], 2);
  const weight = normedWeight(b, prefix, size, width, channels);
  const bias = b.weight(`${prefix}bias`, [width]);
  const ofGroup = (group: number): Node => {
    const own = (values: Node, rows: number): Node => b.slice(values, 0, group * rows, (group + 1) * rows);
    const windows = b.windows(b.reshape(own(padded, 1), [batch, padded.shape[2], channels]), 1, size, 1);
    const rows = b.reshape(windows, [batch, frames, size * channels]);
    const product = b.matmul(rows, own(weight, channels), { transposeB: true });
    return activation(b, b.add(product, own(bias, channels)), config.featureActivation);
  };
  return b.concat(
    Array.from({ length: groups }, (_, group) => ofGroup(group)),
    2,
  );
}
