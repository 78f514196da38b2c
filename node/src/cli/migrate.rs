//! `isocast-node migrate`

use anyhow::Context;

use super::{Console, Failure};
use crate::config;
use crate::rooms::{Schema, Source, migrate};

pub(super) fn run(
    check: bool,
    settings: &config::Postgres,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let said = runtime.block_on(async {
        match (settings.is_on(), check) {
            (false, _) => Ok(
                "nothing to do: without postgres.url_file rooms are in the data folder, where each start brings them up to date".to_owned(),
            ),
            (true, true) => look(settings).await,
            (true, false) => bring(settings).await,
        }
    })?;
    Ok(writeln!(console.out, "{said}").context("standard output")?)
}

async fn look(settings: &config::Postgres) -> anyhow::Result<String> {
    let schema = Schema::of(&Source::new(settings)?).await?;
    schema.serves_us()?;
    Ok(format!("schema {} serves this release", schema.number))
}

async fn bring(settings: &config::Postgres) -> anyhow::Result<String> {
    let before = migrate(&Source::new(settings)?).await?;
    let needed = Schema::needed();
    if before.number < needed {
        return Ok(format!("schema {needed}; it was {}", before.number));
    }
    before.serves_us()?;
    Ok(format!("nothing to do: schema {}", before.number))
}
