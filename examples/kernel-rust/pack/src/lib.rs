//! Work on whole pictures for `wasm-pack build --target web`: fovea wraps what is called `resize`.
use wasm_bindgen::prelude::wasm_bindgen;

/// RGBA made smaller or larger by its nearest pixels.
#[wasm_bindgen]
pub fn resize(rgba: &[u8], width: usize, height: usize, to_width: usize, to_height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 * to_width * to_height);
    for y in 0..to_height {
        for x in 0..to_width {
            let at = 4 * ((y * height / to_height) * width + x * width / to_width);
            out.extend_from_slice(&rgba[at..at + 4]);
        }
    }
    out
}
