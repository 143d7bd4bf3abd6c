//! Nothing but the way in.
//!
//! With glibc it is C's: what Rust's own does beside (it reads /proc/self/maps for a guard page, sets
//! handlers up) takes a tenth of our start, and the start is what every wrapped command waits for.
//! Elsewhere std needs its own entry to know the arguments.
#![cfg_attr(target_env = "gnu", no_main)]
#![cfg_attr(target_env = "gnu", allow(unsafe_code, reason = "the C entry point has an unsafe attribute"))]

// SAFETY: the name is the one that C's start-up code calls, once, and nothing else defines it.
#[cfg(target_env = "gnu")]
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    notify_done::sys::inherited::settle();
    notify_done::app::main()
}

#[cfg(not(target_env = "gnu"))]
fn main() {
    notify_done::app::main();
}
