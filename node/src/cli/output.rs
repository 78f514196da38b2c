//! Where a command writes to while somebody reads it.

use std::io::{ErrorKind, Result, Write};

/// A reader that has enough, such as `head`, is no failure: the rest goes nowhere. The command does all
/// that it was asked for nevertheless.
pub(super) struct Output<'o>(pub &'o mut dyn Write);

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        while_read(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        while_read(self.0.flush(), ())
    }
}

fn while_read<T>(written: Result<T>, all: T) -> Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(all),
        written => written,
    }
}
