// y = rotary(rms_norm(x) * scale): the norm of queries or keys and the turn by their positions, in one launch. Sixteen invocations
// share a head and see each other's numbers through workgroup memory, so that a number is read once.
struct Sizes { batch: u32, tokens: u32, heads: u32, eps: f32 }

@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> cosines: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> sines: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> sizes: Sizes;

const LANES = 16u;
const HEADS = 4u;
// Vectors of a head at most, and here; those of its half that is turned with the next as many; those of an invocation.
const MOST = 64u;
override WIDTH: u32 = 16u;
override PAIRS: u32 = 8u;
override HELD: u32 = 1u;

var<workgroup> values: array<vec4<f32>, HEADS * MOST>;
var<workgroup> squares: array<vec4<f32>, HEADS * LANES / 4u>;

@compute @workgroup_size(64)
fn norm_rotary(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let own = index / LANES;
  let lane = index % LANES;
  let row = group.x * HEADS + own;
  let isHead = row < sizes.batch * sizes.tokens * sizes.heads;
  var sums = vec4<f32>();
  for (var i = 0u; i < HELD; i++) {
    let column = lane + i * LANES;
    if (isHead && column < WIDTH) {
      let value = x[row * WIDTH + column];
      values[own * MOST + column] = value;
      sums += value * value;
    }
  }
  squares[index / 4u][index % 4u] = dot(sums, vec4<f32>(1.0));
  workgroupBarrier();
  if (!isHead) { return; }

  var sum = squares[own * LANES / 4u];
  for (var i = 1u; i < LANES / 4u; i++) { sum += squares[own * LANES / 4u + i]; }
  let inverse = 1.0 / sqrt(dot(sum, vec4<f32>(1.0)) / f32(WIDTH * 4u) + sizes.eps);
  let angles = ((row / sizes.heads) % sizes.tokens) * PAIRS;
  for (var i = 0u; i < HELD; i++) {
    let column = lane + i * LANES;
    if (column < WIDTH) {
      var value = values[own * MOST + column] * inverse * scale[column];
      if (column < 2u * PAIRS) {
        let isFirst = column < PAIRS;
        let partner = select(column - PAIRS, column + PAIRS, isFirst);
        let turned = values[own * MOST + partner] * inverse * scale[partner];
        let at = angles + min(column, partner);
        value = value * cosines[at] + turned * sines[at] * select(1.0, -1.0, isFirst);
      }
      y[row * WIDTH + column] = value;
    }
  }
}
