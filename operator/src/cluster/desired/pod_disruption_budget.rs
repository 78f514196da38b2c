use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::validate::Valid;

/// One pod at a time; a pod that is not healthy serves nobody and may always go.
pub(super) fn pod_disruption_budget(valid: &Valid) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: valid.names.metadata(valid.names.main(), &valid.owner),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(valid.names.label_selector()),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
