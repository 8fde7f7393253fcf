#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| parcacik_testkit::fuzzing::ut_metadata::run(input));
