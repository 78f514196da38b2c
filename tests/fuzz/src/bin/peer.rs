#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    isocast_fuzz::peer::target(data);
});
