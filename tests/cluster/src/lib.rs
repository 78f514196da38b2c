//! A real Kubernetes for tests, in two forms.
//!
//! - [`Lab::api`] is an API server with its controllers and no machines: a test is the kubelet;
//! - [`Lab::nodes`] runs Pods, and reaches them as a viewer would;
//! - [`Namespace`] is a test's own part of either;
//! - [`Stage`] is one with an [`Operator`], where without machines a [`Kubelet`] runs real nodes;
//! - [`Lab::install_operator`] puts the whole product on a cluster with machines;
//! - [`FaultProxy`] lets a call of one operator fail, [`Outage`] the whole API server.
//!
//! A form is begun once in a test process and goes down with it, however that ends. Where
//! `ISOCAST_KUBECONFIG` names a cluster, tests use that one instead: it must have the images already,
//! and be reachable from here.
//!
//! As in the harness, everything blocks, every wait has a deadline, and a failure is a panic that
//! says what was asked.

mod api;
mod base64;
mod condition;
mod definitions;
mod fault_proxy;
mod kubectl;
mod kubelet;
mod lab;
mod namespace;
mod objects;
mod operator;
mod outage;
mod product;
mod stage;
mod writes;

pub use api::AGENT;
pub use base64::decoded;
pub use condition::{Condition, is_ready};
pub use definitions::DEFINITIONS;
pub use fault_proxy::{Call, Fault, FaultProxy, Strike};
pub use kubelet::{Kubelet, Running};
pub use lab::{Lab, image_archive};
pub use namespace::Namespace;
pub use objects::{Objects, wait_for_objects};
pub use operator::{Operator, operator_binary};
pub use outage::Outage;
pub use product::{SYSTEM, reached, url};
pub use stage::{PATIENCE_S, Stage};
pub use writes::Write;
