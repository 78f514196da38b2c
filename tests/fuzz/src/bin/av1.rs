#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    isocast_fuzz::av1::target(data);
});
