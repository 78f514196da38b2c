use std::collections::{HashMap, VecDeque};

use super::Event;
use crate::rooms::RoomId;

/// Events that wait, of one room and of all. An event is some 400 bytes: 2 MB in all.
const ROOM_MAX: usize = 64;
const ALL_MAX: usize = 4096;

/// Events that wait, by room. A room is listed while somebody delivers its events.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rooms: HashMap<RoomId, VecDeque<(u64, Event)>>,
    waiting: usize,
    next: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// An older event had to give way.
    pub(super) dropped: bool,
    /// Nobody delivers this room's events yet.
    pub(super) needs_worker: bool,
}

impl Queue {
    pub(super) fn push(&mut self, event: Event) -> Pushed {
        let dropped = self.make_place(&event.room);
        let needs_worker = !self.rooms.contains_key(&event.room);
        let waiting = self.rooms.entry(event.room.clone()).or_default();
        waiting.push_back((self.next, event));
        self.next += 1;
        self.waiting += 1;
        Pushed {
            dropped,
            needs_worker,
        }
    }

    /// The room's next event; with `None` the room is no longer listed, and who delivered it ends.
    pub(super) fn pop(&mut self, room: &RoomId) -> Option<Event> {
        let event = self.rooms.get_mut(room).and_then(VecDeque::pop_front);
        match event {
            Some((_, event)) => {
                self.waiting -= 1;
                Some(event)
            }
            None => {
                self.rooms.remove(room);
                None
            }
        }
    }

    /// The oldest gives way: of the room where that is full, else of all.
    fn make_place(&mut self, room: &RoomId) -> bool {
        let of_room = self.rooms.get_mut(room);
        let full = of_room.filter(|waiting| waiting.len() >= ROOM_MAX);
        let oldest = |waiting: &VecDeque<(u64, Event)>| waiting.front().map(|(number, _)| *number);
        let place = match full {
            Some(room) => Some(room),
            None if self.waiting < ALL_MAX => None,
            None => {
                let rooms = self
                    .rooms
                    .values_mut()
                    .filter(|waiting| !waiting.is_empty());
                rooms.min_by_key(|waiting| oldest(waiting))
            }
        };
        let dropped = place.and_then(VecDeque::pop_front).is_some();
        self.waiting -= usize::from(dropped);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use isocast_media::UnixMs;

    use super::super::event::Happening;
    use super::*;

    fn event(room: &str, epoch: u64) -> Event {
        let room = RoomId::parse(room).expect("an id");
        Event::new(&room, "n", epoch, Happening::FirstViewer, UnixMs(1))
    }

    fn epochs(queue: &mut Queue, room: &str) -> Vec<u64> {
        let room = RoomId::parse(room).expect("an id");
        let events = std::iter::from_fn(|| queue.pop(&room));
        let epoch = |event: Event| {
            let body: serde_json::Value = serde_json::from_slice(&event.body).expect("JSON");
            body["epoch"].as_u64().expect("a number")
        };
        events.map(epoch).collect()
    }

    #[test]
    fn events_of_a_room_keep_their_order_and_have_one_worker() {
        let mut queue = Queue::default();
        let pushed = |needs_worker| Pushed {
            dropped: false,
            needs_worker,
        };
        assert_eq!(queue.push(event("a", 1)), pushed(true));
        assert_eq!(queue.push(event("b", 2)), pushed(true));
        assert_eq!(queue.push(event("a", 3)), pushed(false));
        assert_eq!(epochs(&mut queue, "a"), [1, 3]);
        assert_eq!(queue.push(event("a", 4)), pushed(true), "its worker ended");
        assert_eq!(epochs(&mut queue, "b"), [2]);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut queue = Queue::default();
        for number in 0..ROOM_MAX as u64 + 3 {
            let pushed = queue.push(event("a", number));
            assert_eq!(pushed.dropped, number >= ROOM_MAX as u64);
        }
        let kept = epochs(&mut queue, "a");
        assert_eq!((kept.len(), kept[0]), (ROOM_MAX, 3));

        for number in 0..ALL_MAX {
            let room = format!("r{}", number / ROOM_MAX);
            assert!(!queue.push(event(&room, number as u64)).dropped);
        }
        assert!(queue.push(event("new", 0)).dropped);
        assert_eq!(epochs(&mut queue, "r0")[0], 1, "the oldest of all");
        assert_eq!(queue.waiting, ALL_MAX - (ROOM_MAX - 1));
    }
}
