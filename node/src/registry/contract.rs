//! What every registry must do, run on each of them.

use super::*;

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

async fn epochs_rise_even_when_the_clock_does_not(registry: &dyn Registry) {
    let mut last = 0;
    for now in [5000, 5000, 4000, 9000, 0] {
        let claim = registry
            .claim(&room("a"), "node-1", UnixMs(now))
            .await
            .unwrap();
        assert!(
            claim.epoch > last && claim.epoch >= now as u64,
            "{claim:?} after {last}"
        );
        last = claim.epoch;
        registry.release(&claim).await.unwrap();
    }
}

async fn the_newest_claim_holds(registry: &dyn Registry) {
    let (id, other) = (room("b"), room("c"));
    let first = registry.claim(&id, "node-1", UnixMs(1)).await.unwrap();
    let second = registry.claim(&id, "node-2", UnixMs(1)).await.unwrap();
    assert_eq!(registry.get(&id).await.unwrap(), Some(second.clone()));
    assert_eq!(registry.get(&other).await.unwrap(), None);

    registry.release(&first).await.unwrap();
    assert_eq!(
        registry.get(&id).await.unwrap(),
        Some(second.clone()),
        "an old claim releases nothing"
    );
    registry.release(&second).await.unwrap();
    assert_eq!(registry.get(&id).await.unwrap(), None);
}

#[tokio::test]
async fn memory() {
    epochs_rise_even_when_the_clock_does_not(&Memory::default()).await;
    the_newest_claim_holds(&Memory::default()).await;
}
