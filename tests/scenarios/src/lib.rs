//! The scenarios are in `tests/`, one file a subject. They run the release binary: `make test`.
