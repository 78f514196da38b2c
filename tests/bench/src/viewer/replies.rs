//! What an RTMP server wants to hear from a player now and then (RTMP 1.0 §5.4, §6.2).

use super::prefix::Seen;

const ACKNOWLEDGEMENT: u8 = 3;
const USER_CONTROL: u8 = 4;
const WINDOW_ACK_SIZE: u8 = 5;
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;

#[derive(Debug, Default)]
pub(super) struct Replies {
    received_bytes: u64,
    acknowledged_bytes: u64,
    /// Acknowledge at least so often; `None` until the server has said it.
    window_bytes: Option<u32>,
    out: Vec<u8>,
}

impl Replies {
    pub(super) fn count_read(&mut self, bytes: usize) {
        self.received_bytes += bytes as u64;
    }

    pub(super) fn hear(&mut self, seen: &Seen<'_>) {
        match (seen.type_id, seen.prefix) {
            (WINDOW_ACK_SIZE, &[a, b, c, d]) => {
                self.window_bytes = Some(u32::from_be_bytes([a, b, c, d]));
            }
            (USER_CONTROL, &[high, low, ref timestamp @ ..])
                if u16::from_be_bytes([high, low]) == PING_REQUEST =>
            {
                let [high, low] = PING_RESPONSE.to_be_bytes();
                self.say(USER_CONTROL, &[&[high, low], timestamp].concat());
            }
            _ => {}
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        let unacknowledged = self.received_bytes - self.acknowledged_bytes;
        if self
            .window_bytes
            .is_some_and(|window| unacknowledged >= u64::from(window))
        {
            self.acknowledged_bytes = self.received_bytes;
            // The sequence number is 32 bits wide and wraps (§5.4.3).
            self.say(ACKNOWLEDGEMENT, &(self.received_bytes as u32).to_be_bytes());
        }
        std::mem::take(&mut self.out)
    }

    /// One chunk on chunk stream 2, message stream 0 (§5.4): these messages are short.
    fn say(&mut self, type_id: u8, payload: &[u8]) {
        self.out
            .extend([2, 0, 0, 0, 0, 0, payload.len() as u8, type_id, 0, 0, 0, 0]);
        self.out.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_acknowledged_once_and_a_ping_answered() {
        let mut replies = Replies::default();
        let hear = |replies: &mut Replies, type_id, prefix: &[u8]| {
            replies.hear(&Seen { type_id, prefix });
        };
        replies.count_read(1000);
        assert!(replies.take().is_empty());
        hear(&mut replies, WINDOW_ACK_SIZE, &[0, 0, 4, 0]);
        assert!(replies.take().is_empty());
        replies.count_read(24);
        assert_eq!(
            replies.take(),
            [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 4, 0]
        );
        assert!(replies.take().is_empty());
        hear(&mut replies, USER_CONTROL, &[0, 6, 1, 2, 3, 4]);
        assert_eq!(
            replies.take(),
            [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4]
        );
        hear(&mut replies, USER_CONTROL, &[0, 0, 0, 0, 0, 1]);
        assert!(replies.take().is_empty());
    }
}
