//! Looks up keys and tokens in batches: however many ids are requested at a time, the database is asked
//! once. A client that invents ids can therefore neither keep the database busy nor delay the look-ups of
//! others.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::connection::Pool;
use crate::output::with_sources;

/// Time limit of a look-up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most ids of one query.
const MOST_IDS: usize = 1_000;
/// Least time between two queries.
const EVERY: Duration = Duration::from_millis(5);

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What is looked up by its id.
pub(crate) trait Record: Sized + Send + Sync + 'static {
    /// Selects those whose id is in `$1`; the first column is the id.
    const FIND: &'static str;
    /// Its name in messages.
    const WHAT: &'static str;
    /// What reading a row needs besides.
    type Context: Copy + Send + Sync + 'static;

    fn read(row: &Row, context: Self::Context) -> Result<Self, Failed>;

    /// Returns true if nothing has changed since the other was read.
    fn is_like(&self, other: &Self) -> bool;

    /// Completes one that is new, or that has changed.
    fn begin(&mut self) {}
}

/// `None` if there is none; an error if the database did not answer.
pub(crate) type Found<R> = Result<Option<R>, ()>;

type Question<R> = (String, oneshot::Sender<Found<R>>);

pub(crate) struct Lookup<R>(mpsc::UnboundedSender<Question<R>>);

impl<R: Record> Lookup<R> {
    /// Starts the task that asks the database. Must be called inside a runtime.
    pub(crate) fn new(pool: Pool, context: R::Context) -> Self {
        // Bounded by the number of client connections: each request looks up one at a time.
        let (sender, questions) = mpsc::unbounded_channel();
        tokio::spawn(answer_all(pool, context, questions));
        Lookup(sender)
    }

    pub(crate) async fn find(&self, id: &str) -> Found<R> {
        let (sender, answer) = oneshot::channel();
        self.0.send((id.to_owned(), sender)).map_err(|_| ())?;
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| ())?,
            Err(_) => {
                tracing::warn!("a {} could not be looked up within {PATIENCE:?}", R::WHAT);
                Err(())
            }
        }
    }
}

async fn answer_all<R: Record>(
    pool: Pool,
    context: R::Context,
    mut questions: mpsc::UnboundedReceiver<Question<R>>,
) {
    let mut next = Instant::now();
    while let Some(first) = questions.recv().await {
        sleep_until(next).await;
        next = Instant::now() + EVERY;
        let mut asked = vec![first];
        while asked.len() < MOST_IDS
            && let Ok(question) = questions.try_recv()
        {
            asked.push(question);
        }
        // A request whose client has left needs no answer.
        asked.retain(|(_, sender)| !sender.is_closed());
        let ids: Vec<&str> = asked.iter().map(|(id, _)| id.as_str()).collect();
        let rows = match timeout(PATIENCE, ask(&pool, R::FIND, &ids)).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                let why = with_sources(error.as_ref());
                tracing::warn!("a {} could not be looked up: {why}", R::WHAT);
                asked.into_iter().for_each(|(_, sender)| _ = sender.send(Err(())));
                continue;
            }
            Err(_) => {
                tracing::warn!("a {} could not be looked up within {PATIENCE:?}", R::WHAT);
                asked.into_iter().for_each(|(_, sender)| _ = sender.send(Err(())));
                continue;
            }
        };
        for (id, sender) in asked {
            let row = rows.iter().find(|row| row.try_get::<_, &str>(0).is_ok_and(|own| own == id));
            let found = row.map(|row| R::read(row, context)).transpose().map_err(|error| {
                tracing::error!("a {} cannot be read: {}", R::WHAT, with_sources(error.as_ref()));
            });
            let _ = sender.send(found);
        }
    }
}

async fn ask(pool: &Pool, find: &str, ids: &[&str]) -> Result<Vec<Row>, Failed> {
    let client = pool.get().await?;
    Ok(client.query_typed(find, &[(&ids, Type::TEXT_ARRAY)]).await?)
}
