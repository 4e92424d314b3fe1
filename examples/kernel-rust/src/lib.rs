//! y = silu(gate) * up, the middle of a gated MLP, in one pass over both.
#![no_std]

use core::arch::wasm32::*;

/// The words of the argument table, in the order of `arguments` in plugin.json.
#[repr(C)]
pub struct Arguments {
    output: *mut f32,
    gate: *const f32,
    up: *const f32,
    rows: usize,
    width: usize,
}

/// e^x of four numbers at most 0, to 2e-7: x = n ln 2 + r, the polynomial of e^r, and n added to the exponent.
#[inline]
fn exp_of_negative(x: v128) -> v128 {
    let x = f32x4_max(x, f32x4_splat(-87.0));
    let n = f32x4_nearest(f32x4_mul(x, f32x4_splat(core::f32::consts::LOG2_E)));
    // ln 2 in two parts, so that r is exact to the last bit.
    let r = f32x4_sub(x, f32x4_mul(n, f32x4_splat(0.693_145_75)));
    let r = f32x4_sub(r, f32x4_mul(n, f32x4_splat(1.428_606_8e-6)));
    let mut p = f32x4_splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = f32x4_add(f32x4_mul(p, r), f32x4_splat(c));
    }
    i32x4_add(p, i32x4_shl(i32x4_trunc_sat_f32x4(n), 23))
}

/// x / (1 + e^-x), with e^-|x| alone, which does not overflow.
#[inline]
fn silu(x: v128) -> v128 {
    let e = exp_of_negative(f32x4_neg(f32x4_abs(x)));
    let one = f32x4_splat(1.0);
    let top = v128_bitselect(e, one, f32x4_lt(x, f32x4_splat(0.0)));
    f32x4_div(f32x4_mul(x, top), f32x4_add(one, e))
}

/// # Safety
/// Called by fovea with the table that plugin.json describes; widths are multiples of 4.
#[no_mangle]
pub unsafe extern "C" fn gated_silu(arguments: *const Arguments) -> i32 {
    let Arguments { output, gate, up, rows, width } = *arguments;
    if width % 4 != 0 {
        return 1;
    }
    let count = rows * width;
    let mut i = 0;
    while i < count {
        let x = v128_load(gate.add(i) as *const v128);
        let y = v128_load(up.add(i) as *const v128);
        v128_store(output.add(i) as *mut v128, f32x4_mul(silu(x), y));
        i += 4;
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
