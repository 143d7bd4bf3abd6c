//! System calls by number, for processes that share our memory and so our errno, which these leave alone.
#![allow(unsafe_code)]

pub use here::{KNOWN, call};

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
mod here {
    pub const KNOWN: bool = true;

    /// # Safety
    /// That of the system call. The result is its value, or an error number below 0: syscall(2).
    pub unsafe fn call(number: libc::c_long, args: [usize; 4]) -> isize {
        let mut result = number as isize;
        // SAFETY: the kernel's calling convention for x86-64; it changes rcx and r11 only.
        unsafe {
            std::arch::asm!("syscall", inlateout("rax") result,
                in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3], in("r8") 0,
                out("rcx") _, out("r11") _, options(nostack));
        }
        result
    }
}

#[cfg(target_arch = "aarch64")]
mod here {
    pub const KNOWN: bool = true;

    /// # Safety
    /// That of the system call. The result is its value, or an error number below 0: syscall(2).
    pub unsafe fn call(number: libc::c_long, args: [usize; 4]) -> isize {
        let mut result = args[0] as isize;
        // SAFETY: the kernel's calling convention for arm64; it changes x0 only.
        unsafe {
            std::arch::asm!("svc 0", inlateout("x0") result,
                in("x8") number, in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") 0,
                options(nostack));
        }
        result
    }
}

/// Elsewhere nothing is known, and nobody calls.
#[cfg(not(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64")))]
mod here {
    pub const KNOWN: bool = false;

    /// # Safety
    /// Never called.
    pub unsafe fn call(_: libc::c_long, _: [usize; 4]) -> isize {
        -(libc::ENOSYS as isize)
    }
}
