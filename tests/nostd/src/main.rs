//! A program without the standard library that runs a session: proof that the core and everything it uses do without it.
//!
//! A dependency that drags `std` in does not link here: there would be two panic handlers, and the error names the culprit. The program prints nothing; its exit
//! code is 0 when the session did what it should.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::panic::PanicInfo;
use parcacik_core::border::{Action, Actions, Command, CommandId, Config, Event, SocketId};
use parcacik_core::journal::{Recorder, Secret, replay};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;

// The C library for a start, memory and an end; what an operating system or a board brings elsewhere.
#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
    fn abort() -> !;
}

struct CMemory;

// SAFETY: memory of the C library: of at least the size and with the alignment that was asked for, and nobody else's until it is freed.
unsafe impl GlobalAlloc for CMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let align = layout.align().max(size_of::<usize>());
        // The size must be a multiple of the alignment.
        let Some(size) = layout.size().checked_next_multiple_of(align) else { return core::ptr::null_mut() };
        // SAFETY: `align` is a power of two.
        unsafe { aligned_alloc(align, size) }.cast()
    }

    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: it came from `alloc` above.
        unsafe { free(memory.cast()) }
    }
}

#[global_allocator]
static MEMORY: CMemory = CMemory;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: always allowed.
    unsafe { abort() }
}

/// The libraries that come with the compiler are built to unwind and name these; with `panic = "abort"` nobody calls them.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// See [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    // SAFETY: always allowed.
    unsafe { abort() }
}

/// Runs a session, records it, and runs the recording.
fn run() -> Option<()> {
    let (config, seeds) = (Config::default(), Seeds::for_tests(1));
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(&config, &seeds, Secret::Keep, &mut recording);
    let mut session = Session::new(config, seeds).ok()?;
    let mut actions = Actions::new();
    let command = Command::Listen { tcp: SocketId(1), udp: None, lsd: None, dht: false, addr: "127.0.0.1:0".parse().ok()?, device: None };
    let event = Event::Command { id: CommandId(1), command };
    session.handle(Time::ZERO, event.clone(), &mut actions);
    recorder.record(Time::ZERO, &event, &actions, &mut recording);
    let digest = recorder.finish(&mut recording);
    let binds = matches!(actions.list[..], [Action::Bind { sock: SocketId(1), .. }]);
    let report = replay(&recording).ok()?;
    (binds && report.is_same() && report.digest == digest).then_some(())
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    c_int::from(run().is_none())
}
