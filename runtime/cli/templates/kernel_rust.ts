/** A kernel in Rust. */
import { kernelReadme, moduleFiles, type Template } from "./project.ts";

const SOURCE = `//! output = x * (x + y)
#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// The words of the argument table, in the order of \`arguments\` in plugin.json.
#[repr(C)]
pub struct Arguments {
    output: *mut f32,
    x: *const f32,
    y: *const f32,
    rows: u32,
    width: u32,
}

/// # Safety
/// The host's pointers hold \`rows * width\` numbers each.
#[no_mangle]
pub unsafe extern "C" fn gate(a: *const Arguments) -> i32 {
    let Arguments { output, x, y, rows, width } = core::ptr::read(a);
    let count = (rows * width) as usize;
    let mut i = 0;
    while i < count {
        let v = *x.add(i);
        *output.add(i) = v * (v + *y.add(i));
        i += 1;
    }
    0
}
`;

const CARGO = `[package]
name = "gate"
version = "0.1.0"
edition = "2021"

[lib]
crate-type = ["cdylib"]
path = "gate.rs"

[profile.release]
panic = "abort"
lto = true
strip = true
`;

const BUILD = `// Compiles gate.rs with cargo, then copies the module beside plugin.json.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync } from "node:fs";

const target = "wasm32-unknown-unknown";
const run = (name, args, env = {}) =>
  execFileSync(name, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } }).toString().trim();
let root;
try {
  root = run(process.env.RUSTC ?? "rustc", ["--print", "sysroot"]);
} catch {
  console.error("No Rust was found: install it with rustup, or apt-get install rustc cargo libstd-rust-dev-wasm32 lld-19.");
  process.exit(1);
}
if (!existsSync(\`\${root}/lib/rustlib/\${target}\`)) {
  console.error(\`This Rust has no \${target}: rustup target add \${target}, or apt-get install libstd-rust-dev-wasm32.\`);
  process.exit(1);
}
// Debian's Rust has no linker of its own.
const host = /host: (\\S+)/.exec(run(process.env.RUSTC ?? "rustc", ["-vV"]))?.[1];
const linker = existsSync(\`\${root}/lib/rustlib/\${host}/bin/rust-lld\`) ? "" : " -Clinker-flavor=wasm-ld -Clinker=wasm-ld-19 -Clink-arg=--no-fatal-warnings";
const flags = "-Ctarget-feature=+simd128 -Clink-arg=--import-memory -Clink-arg=-zstack-size=0 -Clink-arg=--global-base=0";
run(process.env.CARGO ?? "cargo", ["build", "--release", "--offline", "--target", target], { RUSTFLAGS: flags + linker });
copyFileSync(\`target/\${target}/release/gate.wasm\`, "gate.wasm");
`;

export const KERNEL_RUST: Template = {
  name: "kernel-rust",
  makes: "a kernel in Rust, as core WebAssembly",
  files: (name) => ({
    ...moduleFiles(name),
    "gate.rs": SOURCE,
    "Cargo.toml": CARGO,
    "build.mjs": BUILD,
    "README.md": kernelReadme(name, "A kernel for fovea in Rust: `x * (x + y)` in one pass.", [
      "Building needs Rust for wasm32-unknown-unknown: `rustup target add wasm32-unknown-unknown`, or Debian's `apt-get install rustc cargo libstd-rust-dev-wasm32 lld-19`.",
    ]),
  }),
};
