//! How this process gets a processor, sched(7).
#![allow(unsafe_code)]

/// How we get a processor, beside others that want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// We ask for short turns, and get one at once when there is something to do: the shortest slice of
    /// sched(7) (`sched_runtime` of sched_setattr(2), from Linux 6.12; before that it changes nothing).
    Prompt,
    /// We let others finish what they are at: SCHED_BATCH of sched(7).
    Batch,
}

/// The kernel's least, in nanoseconds.
const SHORT_SLICE: u64 = 100_000;

/// Changes how this process is scheduled, not how much it gets: its nice value stays. Real-time and
/// idle classes that the caller chose stay.
pub fn behave(manners: Manners) {
    let Some(mut attr) = scheduling() else { return };
    let ours = [libc::SCHED_OTHER, libc::SCHED_BATCH];
    if !ours.iter().any(|&policy| u32::try_from(policy) == Ok(attr.sched_policy)) {
        return;
    }
    (attr.sched_policy, attr.sched_runtime) = match manners {
        Manners::Prompt => (libc::SCHED_OTHER as u32, SHORT_SLICE),
        Manners::Batch => (libc::SCHED_BATCH as u32, 0),
    };
    // SAFETY: plain numbers and a pointer to a live struct that says its own size.
    unsafe {
        // Refused in some sandboxes: then we are as we were.
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0);
    }
}

fn scheduling() -> Option<libc::sched_attr> {
    // SAFETY: all bits zero are a value of it, plain numbers.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: a pointer to a live struct, and its size.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
    (got == 0).then_some(attr)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a nice value that is lost with the change, a class of the caller's that is taken away.
    #[test]
    fn only_what_is_meant_changes() {
        // Of this thread alone: on Linux each has its own, sched(7).
        std::thread::spawn(|| {
            // SAFETY: takes numbers only.
            assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) }, 0);
            let has = || scheduling().map(|attr| (attr.sched_policy, attr.sched_nice)).unwrap();
            let (other, batch, idle) =
                (libc::SCHED_OTHER as u32, libc::SCHED_BATCH as u32, libc::SCHED_IDLE as u32);
            for (manners, policy) in
                [(Manners::Batch, batch), (Manners::Prompt, other), (Manners::Batch, batch)]
            {
                behave(manners);
                assert_eq!(has(), (policy, 5));
            }
            let none = libc::sched_param { sched_priority: 0 };
            // SAFETY: a number and a pointer to a live struct.
            assert_eq!(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) }, 0);
            behave(Manners::Prompt);
            assert_eq!(has().0, idle);
        })
        .join()
        .unwrap();
    }
}
