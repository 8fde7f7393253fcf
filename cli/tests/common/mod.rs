//! What both test binaries of the program need of processes.

use std::process::Command;

/// Has what the command starts killed when we end, however that happens: a test binary that is killed itself drops nothing.
///
/// The kernel does it when the *thread* ends that started the process, which must therefore be the one that waits for it. It also does it through an `exec`;
/// what the process starts in its turn is its own affair. Elsewhere than on Linux nothing of the kind exists, and a test that is killed leaves its processes.
pub fn ends_with_us(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
        use std::os::unix::process::CommandExt as _;
        let us = getpid();
        let tie = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // Too late when we have ended already.
            if getppid() == Some(us) { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
        };
        // SAFETY: between fork and exec only system calls are made: nothing is allocated and no lock is taken.
        unsafe { command.pre_exec(tie) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}
