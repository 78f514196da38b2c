use crate::stream::PREFIX_BYTES;

/// A message that has wholly arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen<'m> {
    pub(super) type_id: u8,
    /// The first bytes of its payload.
    pub(super) prefix: &'m [u8],
}

/// Keeps a payload's first bytes and lets the rest pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    bytes: Vec<u8>,
}

impl Prefix {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = PREFIX_BYTES.saturating_sub(self.bytes.len());
        self.bytes.extend(bytes.iter().take(room));
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}
