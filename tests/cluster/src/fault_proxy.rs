//! Stands between one operator and the API server, counts its calls, and lets one of them fail.
//!
//! A call is a request of a reconciliation: it reads one object by its name, or writes one. Not
//! counted are
//! - lists and watches: the caches repeat them by themselves, whenever they like, and no
//!   reconciliation waits in the middle of one;
//! - the Lease: the election goes by time, whatever is worked on, and is tested by itself;
//! - events: one that is not written is only logged, and nothing comes of it;
//! - the question for the server's version, which is asked before there is any work.
//!
//! A connection carries one request, for the proxy says `Connection: close` to both sides. So what
//! the server answers is passed on byte for byte as it comes, watches too, and ends with it.

mod call;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use isocast_harness::{Scratch, Signal, wait};
use rustix::process::{Pid, kill_process};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use call::Call;
use wire::Request;

const GIVEN_OUT_S: u64 = 10;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 409: somebody else was faster. The call is not done.
    Conflict,
    /// 429 with `Retry-After`. The call is not done.
    TooManyRequests,
    /// 500. The call is not done.
    ServerError,
    /// Nobody hears the call, and nobody answers.
    CallLost,
    /// The call is done, and nobody answers.
    AnswerLost,
    /// The call is done, and its answer comes when [`FaultProxy::let_go`] says so.
    AnswerHeld,
    /// The operator is killed before the call is heard.
    CrashBefore,
    /// The call is done, and the operator is killed before it hears of that.
    CrashAfter,
}

impl Fault {
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    let_go: CancellationToken,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    scratch: Scratch,
}

/// What is to happen, and what has.
#[derive(Debug, Default)]
struct Plan {
    calls: Vec<Call>,
    answered: usize,
    next: Option<Strike>,
    has_struck: bool,
    is_given_out: bool,
    victim: Option<Pid>,
}

/// Which call fails, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    pub call: Call,
    /// How often the same call has gone well before.
    pub after: usize,
    pub fault: Fault,
}

impl FaultProxy {
    /// Passes calls on to `server`, an API server that speaks plain HTTP/1.1 and asks for no
    /// credentials, as `kubectl proxy` does.
    ///
    /// # Panics
    /// If loopback has no free port.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        let scratch = Scratch::new("fault-proxy");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs nothing but memory");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("a listener has an address");
        let connection = Connection {
            server,
            plan: Arc::default(),
            let_go: CancellationToken::new(),
        };
        let (plan, let_go) = (Arc::clone(&connection.plan), connection.let_go.clone());
        let stop = CancellationToken::new();
        let live = live(listener, connection, stop.clone());
        let thread = std::thread::spawn(move || runtime.block_on(live));
        let proxy = Self {
            address,
            plan,
            let_go,
            stop,
            thread: Some(thread),
            scratch,
        };
        proxy.write_kubeconfig();
        proxy
    }

    /// Leads through this proxy.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.file("kubeconfig")
    }

    /// Counts anew.
    pub fn count(&self) {
        *self.plan() = Plan::default();
    }

    /// Counts anew, and lets a call fail. `operator` is the process that a crash kills.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn fail(&self, strike: Strike, operator: u32) {
        let pid = i32::try_from(operator).ok().and_then(Pid::from_raw);
        *self.plan() = Plan {
            next: Some(strike),
            victim: Some(pid.expect("an operator's process id")),
            ..Plan::default()
        };
    }

    /// Those since it was last told to count.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.plan().calls.clone()
    }

    /// How many of them are over: answered, or given up by the operator.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.plan().answered
    }

    /// Whether the call has failed.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.plan().has_struck
    }

    /// Gives out the answer that is held; returns once it is on its way.
    ///
    /// # Panics
    /// If none is held.
    pub fn let_go(&self) {
        self.let_go.cancel();
        wait::until("a held answer", GIVEN_OUT_S, || {
            self.plan().is_given_out.then_some(())
        });
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    fn write_kubeconfig(&self) {
        let server = format!("http://{}", self.address);
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "faults",
            "clusters": [{"name": "faults", "cluster": {"server": server}}],
            "users": [{"name": "faults", "user": {}}],
            "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "faults"}}],
        });
        write(&self.kubeconfig(), &text.to_string());
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the proxy between operator and API server has panicked");
        }
    }
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("the target folder can be written");
}

async fn live(listener: TcpListener, connection: Connection, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let client = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        // Whoever was accepted and is gone already needs nothing.
        let Ok((client, _)) = client else { continue };
        let (connection, stop) = (connection.clone(), stop.clone());
        connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                // Either side may go at any time, and the other one sees that.
                _ = connection.carry(client) => {}
            }
        });
    }
    connections.close();
    connections.wait().await;
}

/// What all connections share.
#[derive(Clone)]
struct Connection {
    server: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    let_go: CancellationToken,
}

impl Connection {
    async fn carry(&self, mut client: TcpStream) -> std::io::Result<()> {
        let request = Request::read(&mut client).await?;
        let passed = match self.meet(&request) {
            None => wire::pass(self.server, &request, &mut client).await,
            Some(fault) => self.fail(fault, &request, &mut client).await,
        };
        lock(&self.plan).answered += 1;
        passed
    }

    async fn fail(
        &self,
        fault: Fault,
        request: &Request,
        client: &mut TcpStream,
    ) -> std::io::Result<()> {
        match fault {
            Fault::Conflict => wire::refuse(client, 409, "Conflict").await?,
            Fault::TooManyRequests => wire::refuse(client, 429, "TooManyRequests").await?,
            Fault::ServerError => wire::refuse(client, 500, "InternalError").await?,
            Fault::CallLost => {}
            Fault::AnswerLost => drop(wire::ask(self.server, request).await?),
            Fault::AnswerHeld => {
                let answer = wire::ask(self.server, request).await?;
                self.struck();
                self.let_go.cancelled().await;
                wire::tell(client, &answer).await?;
                lock(&self.plan).is_given_out = true;
            }
            Fault::CrashBefore => self.kill(),
            Fault::CrashAfter => {
                let _ = wire::ask(self.server, request).await?;
                self.kill();
            }
        }
        self.struck();
        wire::until_closed(client).await;
        Ok(())
    }

    /// Counts a call; what is to become of it.
    fn meet(&self, request: &Request) -> Option<Fault> {
        let call = Call::of(&request.method, &request.target)?;
        let mut plan = lock(&self.plan);
        let before = plan.calls.iter().filter(|done| **done == call).count();
        let is_it = |strike: &mut Strike| strike.call == call && strike.after == before;
        let strike = plan.next.take_if(is_it);
        plan.calls.push(call);
        strike.map(|strike| strike.fault)
    }

    fn struck(&self) {
        lock(&self.plan).has_struck = true;
    }

    fn kill(&self) {
        if let Some(victim) = lock(&self.plan).victim {
            // Its parent has not waited for it, so the id is still its own.
            let _ = kill_process(victim, Signal::KILL);
        }
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}
