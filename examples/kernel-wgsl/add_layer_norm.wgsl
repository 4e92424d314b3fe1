// y = layer_norm(x + residual) * scale + bias: a workgroup for each row, whose sum stays in registers.
struct Sizes { eps: f32 }

@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> sizes: Sizes;

const LANES = 64u;
// Vectors of a row, and those that an invocation holds.
override WIDTH: u32 = 192u;
override HELD: u32 = 3u;

var<workgroup> partial: array<vec4<f32>, LANES / 4u>;

// The sum of a value of each invocation, the same for all.
fn sum_of(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partial[lane / 4u][lane % 4u] = value;
  workgroupBarrier();
  var sum = partial[0];
  for (var i = 1u; i < LANES / 4u; i++) { sum += partial[i]; }
  return sum.x + sum.y + sum.z + sum.w;
}

@compute @workgroup_size(LANES)
fn add_layer_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * WIDTH;
  let count = f32(WIDTH * 4u);
  var held: array<vec4<f32>, HELD>;
  var sums = vec4<f32>();
  for (var i = 0u; i < HELD; i++) {
    let column = lane + i * LANES;
    if (column < WIDTH) {
      held[i] = x[row + column] + residual[row + column];
      sums += held[i];
    }
  }
  let mean = sum_of(lane, dot(sums, vec4<f32>(1.0))) / count;
  var squares = 0.0;
  for (var i = 0u; i < HELD; i++) {
    if (lane + i * LANES < WIDTH) {
      let difference = held[i] - mean;
      squares += dot(difference, difference);
    }
  }
  let inverse = 1.0 / sqrt(sum_of(lane, squares) / count + sizes.eps);
  for (var i = 0u; i < HELD; i++) {
    let column = lane + i * LANES;
    if (column < WIDTH) { y[row + column] = (held[i] - mean) * inverse * scale[column] + bias[column]; }
  }
}
