//! Whether a store's keys were hashed and sealed under the secret that this node has.

use sqlx::Database;

use super::Speaks;
use super::values::{Columns, Value};
use crate::rooms::key::KeyHasher;

/// Under another one every key would be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its keys are hashed under another secret than this node's; put into rooms.secret_file, or `secret` of the data folder, the one that the store was begun with"
)]
pub(crate) struct OtherSecret;

/// A store that is new takes the first secret that comes.
pub(in crate::rooms) async fn check<Db: Speaks>(
    connection: &mut <Db as Database>::Connection,
    hasher: &KeyHasher,
) -> Result<Result<(), OtherSecret>, sqlx::Error> {
    const KEPT: &str = "SELECT secret_check FROM store";
    const KEEP: &str = "UPDATE store SET secret_check = $1 WHERE secret_check IS NULL";
    let own = hasher.fingerprint();
    for is_kept in [false, true] {
        let rows = Db::rows(connection, KEPT, &[]).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        match row.maybe_bytes("secret_check")? {
            Some(kept) if kept == own => return Ok(Ok(())),
            None if !is_kept => {
                let own = Value::Bytes(own.to_vec());
                Db::execute(connection, KEEP, &[own]).await?;
            }
            _ => break,
        }
    }
    Ok(Err(OtherSecret))
}
