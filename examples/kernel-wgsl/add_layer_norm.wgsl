// y = layer_norm(x + residual) * scale + bias: a workgroup for each row, whose sum stays in registers.
struct Sizes { width: u32, eps: f32 }

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<uniform> sizes: Sizes;

const LANES = 128u;
// Values of a row that an invocation holds.
override HELD: u32 = 8u;

var<workgroup> partial: array<f32, LANES>;

// The sum of a value of each invocation, the same for all.
fn sum_of(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partial[lane] = value;
  for (var half = LANES / 2u; half > 0u; half = half / 2u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] = partial[lane] + partial[lane + half]; }
  }
  workgroupBarrier();
  return partial[0];
}

@compute @workgroup_size(LANES)
fn add_layer_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let width = sizes.width;
  let row = group.x * width;
  var held: array<f32, HELD>;
  var sum = 0.0;
  for (var i = 0u; i < HELD; i++) {
    let column = lane + i * LANES;
    if (column < width) {
      held[i] = x[row + column] + residual[row + column];
      sum += held[i];
    }
  }
  let mean = sum_of(lane, sum) / f32(width);
  var squares = 0.0;
  for (var i = 0u; i < HELD; i++) {
    if (lane + i * LANES < width) {
      let difference = held[i] - mean;
      squares += difference * difference;
    }
  }
  let inverse = inverseSqrt(sum_of(lane, squares) / f32(width) + sizes.eps);
  for (var i = 0u; i < HELD; i++) {
    let column = lane + i * LANES;
    if (column < width) { y[row + column] = (held[i] - mean) * inverse * scale[column] + bias[column]; }
  }
}
