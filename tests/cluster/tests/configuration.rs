//! Whether a node takes the configuration that the operator writes for it, in the form of each of
//! the operator's golden files.

use std::process::Command;

use isocast_harness::{Certificate, Scratch, node_binary, repository, run};
use serde::Deserialize;
use serde_json::Value;

const GOLDEN: &str = "operator/src/cluster/desired/testdata";

#[test]
fn a_node_takes_the_configuration_of_every_golden_file() {
    let mut checked = 0;
    for entry in
        std::fs::read_dir(repository().join(GOLDEN)).expect("the operator has golden files")
    {
        let path = entry.expect("a folder can be read").path();
        if !path.to_string_lossy().ends_with(".golden.yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a golden file can be read");
        let objects: Vec<Value> = serde_yaml::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).expect("golden files are YAML"))
            .collect();
        let of = |kind: &str| {
            let found = objects.iter().find(|object| object["kind"] == kind);
            found.unwrap_or_else(|| panic!("{} has a {kind}", path.display()))
        };
        let config = of("ConfigMap")["data"]["default.toml"]
            .as_str()
            .expect("it holds the file");
        let scratch = Scratch::new("configuration");
        std::fs::write(scratch.file("default.toml"), config)
            .expect("the scratch folder is writable");

        let mut command = Command::new(node_binary());
        command
            .env_clear()
            .args(["config", "check", "--config-dir"])
            .arg(scratch.path());
        let container = &of("StatefulSet")["spec"]["template"]["spec"]["containers"][0];
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().expect("variables have names");
            command.env(name, variable["value"].as_str().unwrap_or("live-0"));
        }
        if let Some(mounts) = container["volumeMounts"].as_array()
            && mounts.iter().any(|mount| mount["name"] == "tls")
        {
            // Its Secret is not mounted here.
            let certificate = Certificate::issue(scratch.path());
            command.env("ISOCAST__TLS__CERT_FILE", certificate.cert_file);
            command.env("ISOCAST__TLS__KEY_FILE", certificate.key_file);
        }
        let output = run(&mut command);
        assert_eq!(
            output.code,
            Some(0),
            "{}: {}{}",
            path.display(),
            output.out,
            output.err
        );
        checked += 1;
    }
    assert!(checked >= 3, "{checked} golden files");
}
