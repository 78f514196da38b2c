//! Just enough of an API server for tests: objects by path, resource versions, merge patches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt;
use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// A handle to one fake API server.
#[derive(Clone, Default)]
pub(crate) struct FakeApi(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    hangs: bool,
    fails: bool,
    /// What nobody may create.
    forbidden: Option<&'static str>,
    /// Every request: method, path, body.
    calls: Vec<(Method, String, Value)>,
}

type Answer = Result<Value, (StatusCode, &'static str)>;

impl FakeApi {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A client; must be made on a runtime.
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.call(request).await) }
        });
        Client::new(service, "default")
    }

    /// The object at `path`, as in `/api/v1/namespaces/n/secrets/s`.
    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.state().store(path, object);
    }

    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.object(path).expect("there is one");
        change(&mut object);
        self.put(path, object);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().objects.remove(path);
    }

    /// Whether calls are taken and not answered.
    pub(crate) fn hang(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    /// Whether every call is answered with an error.
    pub(crate) fn fail(&self, fails: bool) {
        self.state().fails = fails;
    }

    /// Nobody may create objects below this path, as under a quota; `None`: everybody may.
    pub(crate) fn forbid(&self, path: Option<&'static str>) {
        self.state().forbidden = path;
    }

    /// What has been asked since this was called last, events left out.
    pub(crate) fn calls(&self) -> Vec<(Method, String, Value)> {
        let mut calls = std::mem::take(&mut self.state().calls);
        calls.retain(|(_, path, _)| !path.contains("/events"));
        calls
    }

    /// Reasons of the events about anything, sorted by their time; `Reason x2` for one told twice.
    pub(crate) fn events(&self) -> Vec<String> {
        let state = self.state();
        let events = state
            .objects
            .iter()
            .filter(|(path, _)| path.contains("/events/"));
        let mut events: Vec<_> = events.map(|(_, event)| event).collect();
        events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
        let told = events.iter().map(|event| {
            let reason = event["reason"].as_str().expect("a reason");
            match &event["series"]["count"] {
                Value::Null => reason.to_owned(),
                count => format!("{reason} x{count}"),
            }
        });
        told.collect()
    }

    /// Everything that was ever sent to it and is still there, as text.
    pub(crate) fn dump(&self) -> String {
        format!("{:?}", self.state().objects)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics in here")
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = head.uri.path().to_owned();
        let hangs = {
            let mut state = self.state();
            state
                .calls
                .push((head.method.clone(), path.clone(), body.clone()));
            state.hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let answer = self.state().answer(&head.method, &path, body);
        let (status, value) = match answer {
            Ok(value) => (StatusCode::OK, value),
            Err((status, reason)) => (
                status,
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": format!("{path}: {reason}"), "reason": reason, "code": status.as_u16(),
                }),
            ),
        };
        let mut response = Response::new(Body::from(value.to_string().into_bytes()));
        *response.status_mut() = status;
        response
    }
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> Answer {
        const NOT_FOUND: (StatusCode, &str) = (StatusCode::NOT_FOUND, "NotFound");
        if self.fails {
            return Err((StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
        }
        let is_forbidden = |forbidden: &str| method == Method::POST && path.contains(forbidden);
        if self.forbidden.is_some_and(is_forbidden) {
            return Err((StatusCode::FORBIDDEN, "Forbidden"));
        }
        let is_status = path.ends_with("/status");
        let path = path.trim_end_matches("/status");
        match method.as_str() {
            "GET" => self.objects.get(path).cloned().ok_or(NOT_FOUND),
            "POST" => {
                let name = body["metadata"]["name"].as_str().expect("a name");
                let path = format!("{path}/{name}");
                if self.objects.contains_key(&path) {
                    return Err((StatusCode::CONFLICT, "AlreadyExists"));
                }
                Ok(self.store(&path, body))
            }
            "PUT" => {
                self.guard(path, &body)?;
                Ok(self.store(path, body))
            }
            "PATCH" => {
                self.guard(path, &body)?;
                let mut object = self.objects.get(path).cloned().ok_or(NOT_FOUND)?;
                if is_status {
                    object["status"] = body["status"].clone();
                } else {
                    merge(&mut object, body);
                }
                let meta = &object["metadata"];
                if !meta["deletionTimestamp"].is_null()
                    && meta["finalizers"].as_array().is_none_or(Vec::is_empty)
                {
                    self.objects.remove(path);
                    return Ok(object);
                }
                Ok(self.store(path, object))
            }
            "DELETE" => self.objects.remove(path).ok_or(NOT_FOUND),
            method => panic!("{method} {path}"),
        }
    }

    /// Refuses what was made from an older version.
    fn guard(&self, path: &str, body: &Value) -> Result<(), (StatusCode, &'static str)> {
        let has = self
            .objects
            .get(path)
            .map(|object| &object["metadata"]["resourceVersion"]);
        let has = has.ok_or((StatusCode::NOT_FOUND, "NotFound"))?;
        match &body["metadata"]["resourceVersion"] {
            Value::Null => Ok(()),
            version if version == has => Ok(()),
            _ => Err((StatusCode::CONFLICT, "Conflict")),
        }
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

/// RFC 7396.
fn merge(to: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *to = patch;
        return;
    };
    if !to.is_object() {
        *to = json!({});
    }
    let fields = to.as_object_mut().expect("an object");
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}
