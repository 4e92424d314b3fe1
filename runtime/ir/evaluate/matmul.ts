/** Matrix products of the reference evaluator: sums in f64, in ascending order of the inner index. */
import {
  broadcastShape,
  broadcastStrides,
  elementCount,
  type RefTensor,
  refuse,
  requireFloat,
  requireShape,
  shapeText,
  stridedOffsets,
} from "./tensor.ts";

type Values = RefTensor["data"];

/**
 * out[m, n] = a[m, k] b[n, k]^T, all dense. Sums of two rows and four columns go on side by side: one alone waits for each of
 * its additions, and what is read serves several. The last of an odd number of rows is its own second row.
 */
function multiplyTransposed(a: Values, b: Values, out: Float64Array, m: number, n: number, k: number): void {
  for (let i = 0; i < m; i += 2) {
    const second = i + 1 < m ? 1 : 0;
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let t0 = 0;
      let t1 = 0;
      let t2 = 0;
      let t3 = 0;
      for (let p = 0, left = i * k, at = j * k; p < k; p++, left++, at++) {
        const v = a[left];
        const w = a[left + second * k];
        const b0 = b[at];
        const b1 = b[at + k];
        const b2 = b[at + 2 * k];
        const b3 = b[at + 3 * k];
        s0 += v * b0;
        s1 += v * b1;
        s2 += v * b2;
        s3 += v * b3;
        t0 += w * b0;
        t1 += w * b1;
        t2 += w * b2;
        t3 += w * b3;
      }
      const to = i * n + j;
      const below = to + second * n;
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
      out[below] = t0;
      out[below + 1] = t1;
      out[below + 2] = t2;
      out[below + 3] = t3;
    }
    for (let row = i; row <= i + second; row++) {
      for (let column = j; column < n; column++) {
        let sum = 0;
        for (let p = 0; p < k; p++) sum += a[row * k + p] * b[column * k + p];
        out[row * n + column] = sum;
      }
    }
  }
}

/** out[m, n] = a[m, k] b[k, n], all dense; walks rows of b, adding in the same order as multiplyTransposed. */
function multiplyPlain(a: Values, b: Values, out: Float64Array, m: number, n: number, k: number): void {
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) {
      const v = a[i * k + p];
      for (let j = 0; j < n; j++) out[i * n + j] += v * b[p * n + j];
    }
  }
}

/**
 * a [...batch, M, K] times b [...batch, K, N], or b [...batch, N, K] with `transposeB` -> [...batch, M, N] (f32).
 * Batch axes broadcast.
 */
export function matmul(a: RefTensor, b: RefTensor, options: { readonly transposeB?: boolean } = {}): RefTensor {
  requireFloat("matmul", a, b);
  const transposed = options.transposeB === true;
  const layout = transposed ? "[..., M, K] and [..., N, K]" : "[..., M, K] and [..., K, N]";
  if (a.shape.length < 2 || b.shape.length < 2) {
    refuse("matmul", `shapes ${shapeText(a.shape)} and ${shapeText(b.shape)}`, layout);
  }
  const [m, k] = a.shape.slice(-2);
  const [rows, columns] = b.shape.slice(-2);
  const [n, inner] = transposed ? [rows, columns] : [columns, rows];
  if (k !== inner) {
    refuse("matmul", `shapes ${shapeText(a.shape)} and ${shapeText(b.shape)}`, `one inner size K in ${layout}`);
  }
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const batch = broadcastShape("matmul", batchA, batchB);
  const atA = stridedOffsets(batch, broadcastStrides(batchA, batch));
  const atB = stridedOffsets(batch, broadcastStrides(batchB, batch));
  const data = new Float64Array(elementCount(batch) * m * n);
  const multiply = transposed ? multiplyTransposed : multiplyPlain;
  for (let i = 0; i < atA.length; i++) {
    const left = a.data.subarray(atA[i] * m * k, (atA[i] + 1) * m * k);
    const right = b.data.subarray(atB[i] * n * k, (atB[i] + 1) * n * k);
    multiply(left, right, data.subarray(i * m * n, (i + 1) * m * n), m, n, k);
  }
  return { dtype: "f32", shape: [...batch, m, n], data };
}

/** x [..., K] times weight [N, K] transposed, plus bias [N] -> [..., N] (f32). */
export function linear(x: RefTensor, weight: RefTensor, bias?: RefTensor): RefTensor {
  requireFloat("linear", x, weight);
  if (weight.shape.length !== 2) refuse("linear", `a weight of shape ${shapeText(weight.shape)}`, "[N, K]");
  const [n, k] = weight.shape;
  if (x.shape.length === 0 || x.shape[x.shape.length - 1] !== k) {
    refuse("linear", `shape ${shapeText(x.shape)} for weight ${shapeText(weight.shape)}`, `[..., ${k}]`);
  }
  const lead = x.shape.slice(0, -1);
  const data = new Float64Array(elementCount(lead) * n);
  multiplyTransposed(x.data, weight.data, data, elementCount(lead), n, k);
  if (bias !== undefined) {
    requireFloat("linear", bias);
    requireShape("linear", "a bias", bias, [n]);
    for (let i = 0; i < data.length; i++) data[i] += bias.data[i % n];
  }
  return { dtype: "f32", shape: [...lead, n], data };
}
