//! One peer's internal port, as this node calls it.

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use isocast_claims::{Answer, Owner};
use isocast_proto::v1::peer_service_client::PeerServiceClient;
use isocast_proto::{Asked, Bad, Introduction, MESSAGE_BYTES_MAX, Verdict, v1};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::Credential;
use super::breaker::Breaker;
use crate::outbound::{Dialler, Error, HostPort};
use crate::tls;

/// For TCP and TLS together.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A question is worth an answer as long as a publisher waits for it.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_millis(300);
/// Everything else.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(1);
/// Calls under way at one peer; more wait for their turn, within their deadline.
const CALLS_MAX: usize = 64;
/// Whether a peer that says nothing is still there (RFC 9113 §6.7).
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WITHIN: Duration = Duration::from_secs(3);

/// One connection, made when it is needed and made again when it is lost. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<Line>);

#[derive(Debug)]
struct Line {
    at: HostPort,
    credential: Credential,
    dialler: Arc<Dialler>,
    stub: PeerServiceClient<Channel>,
}

impl Client {
    pub(super) fn new(
        at: HostPort,
        credential: Credential,
        dialler: Arc<Dialler>,
        tasks: TaskTracker,
    ) -> Self {
        let channel = channel(at.clone(), credential.clone(), Arc::clone(&dialler), tasks);
        let stub = PeerServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self(Arc::new(Line {
            at,
            credential,
            dialler,
            stub,
        }))
    }

    /// Where its internal port is.
    pub(crate) fn at(&self) -> &HostPort {
        &self.0.at
    }

    pub(super) async fn introduce(&self) -> Result<Owner, Error> {
        let mut stub = self.0.stub.clone();
        let call = async {
            let request = self.request(v1::IntroduceRequest {}).await;
            stub.introduce(request).await
        };
        let introduced = self.call(CALL_WITHIN, call, Introduction::try_from).await;
        introduced.map(|Introduction(owner)| owner)
    }

    pub(super) async fn question(&self, asked: &Asked) -> Result<Answer, Error> {
        let mut stub = self.0.stub.clone();
        let call = async {
            let request = self.request(asked.into()).await;
            stub.question(request).await
        };
        self.call(ANSWER_WITHIN, call, v1::QuestionResponse::read)
            .await
    }

    pub(super) async fn announce(&self, asked: &Asked) -> Result<Verdict, Error> {
        let mut stub = self.0.stub.clone();
        let call = async {
            let request = self.request(asked.into()).await;
            stub.announce(request).await
        };
        self.call(CALL_WITHIN, call, Verdict::try_from).await
    }

    async fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = self.0.credential.bearer().await {
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    /// Within the deadline lies all that a call waits for: its turn, a connection, a file that holds the token.
    async fn call<Wire, Read>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<Response<Wire>, Status>>,
        read: impl Fn(Wire) -> Result<Read, Bad>,
    ) -> Result<Read, Error> {
        let answered = match timeout(within, call).await {
            Ok(Ok(response)) => read(response.into_inner()).map_err(|bad| self.broken(&bad)),
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(Error::Late {
                host: self.0.at.to_string(),
                after: within,
            }),
        };
        self.0.dialler.count("peer", &answered);
        answered
    }

    /// What stood in the way of the connection, else what the peer said of the request.
    fn failed(&self, status: &Status) -> Error {
        let mut cause = status.source();
        while let Some(error) = cause {
            if let Some(of_connection) = error.downcast_ref::<Error>() {
                return of_connection.clone();
            }
            cause = error.source();
        }
        self.broken(&status.code())
    }

    fn broken(&self, cause: &dyn std::fmt::Display) -> Error {
        Error::Broken {
            host: self.0.at.to_string(),
            cause: cause.to_string(),
        }
    }
}

/// Its tasks end when it is dropped.
#[derive(Debug)]
struct Owned(TaskTracker);

impl hyper::rt::Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Owned {
    fn execute(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(task);
    }
}

fn channel(
    at: HostPort,
    credential: Credential,
    dialler: Arc<Dialler>,
    tasks: TaskTracker,
) -> Channel {
    let breaker = Arc::new(Breaker::default());
    let connect = tower::service_fn(move |_| {
        let (at, credential) = (at.clone(), credential.clone());
        let (dialler, breaker) = (Arc::clone(&dialler), Arc::clone(&breaker));
        async move {
            if !breaker.is_closed() {
                return Err(Error::Unreachable {
                    host: at.to_string(),
                    cause: "it has not been reached lately".to_owned(),
                });
            }
            let connected = credential
                .connect(&dialler, &at, &[tls::HTTP2], CONNECT_WITHIN)
                .await;
            breaker.note(connected.is_ok());
            connected.map(TokioIo::new)
        }
    });
    // The name is what requests say for their host; where the peer is, the connector knows.
    Endpoint::from_static("http://isocast-peer")
        .executor(Owned(tasks))
        .concurrency_limit(CALLS_MAX)
        .buffer_size(CALLS_MAX)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connect)
}
