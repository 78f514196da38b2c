# One node: containerd, kubelet and kube-proxy in the node's network, with control groups, folders and
# certificates of their own, so that several fit on one machine.

readonly cgroups=/sys/fs/cgroup pause_image=isocast.local/pause:1

# node N
node() {
    local n=$1 name=node$1 folder=$run/node$1
    mkdir -p "$folder/cni"
    client "$name" "/O=system:nodes/CN=system:node:$name" "DNS:$name,IP:$(node_address "$n")"
    containerd_settings >"$folder/containerd.toml"
    pod_network >"$folder/cni/10-pods.conflist"
    kubelet_settings >"$folder/kubelet.yaml"
    echo "nameserver $dns" >"$folder/resolv.conf"
    make_cgroup "isocast/$name"
    start "containerd$n" nsenter "$(net_of "$name")" containerd -c "$folder/containerd.toml"
    wait_for_process 20 "containerd$n" ctr -a "$folder/containerd.sock" version
    import "$folder/containerd.sock" "$run/pause.tar"
    start "kubelet$n" nsenter "$(net_of "$name")" "$bin/kubernetes" kubelet --config="$folder/kubelet.yaml" \
        --kubeconfig="$run/$name.kubeconfig" --hostname-override="$name" --node-ip="$(node_address "$n")" \
        --root-dir="$folder/kubelet"
    # Zero keeps it from a setting of the whole machine.
    start "proxy$n" nsenter "$(net_of "$name")" "$bin/kubernetes" kube-proxy --kubeconfig="$run/proxy.kubeconfig" \
        --hostname-override="$name" --cluster-cidr="$pods_network.0.0/16" --proxy-mode=nftables \
        --conntrack-max-per-core=0
}

# Not all roots may lower an OOM score, so none does. What runc and the network plugins keep goes
# into the node's folder, and with it.
containerd_settings() {
    cat <<TOML
version = 2
root = "$folder/containerd"
state = "$folder/containerd-state"
[grpc]
  address = "$folder/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$folder/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$folder/runc"
      SystemdCgroup = false
TOML
}

pod_network() {
    cat <<JSON
{"cniVersion": "0.4.0", "name": "isocast-pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$folder/cni-addresses",
            "ranges": [[{"subnet": "$pods_network.$n.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
}

kubelet_settings() {
    cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {x509: {clientCAFile: $run/pki/ca.crt}, webhook: {enabled: true}}
authorization: {mode: Webhook}
tlsCertFile: $run/pki/$name.crt
tlsPrivateKeyFile: $run/pki/$name.key
containerRuntimeEndpoint: unix://$folder/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /isocast/$name
failSwapOn: false
clusterDNS: [$dns]
clusterDomain: cluster.local
resolvConf: $folder/resolv.conf
podLogsDir: $folder/pod-logs
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
YAML
}

# import SOCKET ARCHIVE: an image, for the Pods of the node behind the socket.
import() { ctr -a "$1" -n k8s.io images import "$2" >/dev/null; }

# make_cgroup PATH: below every controller (version 1), or with every controller (version 2).
make_cgroup() {
    local controller part=
    if [[ -f $cgroups/cgroup.controllers ]]; then
        for part in '' $(parents "$1"); do
            mkdir -p "$cgroups/$part"
            for controller in cpu cpuset memory pids io; do
                echo "+$controller" 2>/dev/null >"$cgroups/$part/cgroup.subtree_control" ||
                    ! grep -qw "$controller" "$cgroups/$part/cgroup.controllers" ||
                    refuse "this root may not hand $controller to control groups below $cgroups/$part"
            done
        done
        mkdir -p "$cgroups/$1"
        return
    fi
    for controller in "$cgroups"/*/; do mkdir -p "$controller$1"; done
    # A new group has no processors and no memory before it is told.
    for part in $(parents "$1") "$1"; do
        cat "$cgroups/cpuset/cpuset.cpus" >"$cgroups/cpuset/$part/cpuset.cpus"
        cat "$cgroups/cpuset/cpuset.mems" >"$cgroups/cpuset/$part/cpuset.mems"
    done
}

# parents a/b/c: a a/b
parents() {
    local path=$1 found=()
    while [[ $path == */* ]]; do
        path=${path%/*}
        found=("$path" "${found[@]}")
    done
    echo "${found[@]}"
}

cgroup_folders() { find "$cgroups"/isocast "$cgroups"/*/isocast -depth -type d 2>/dev/null || true; }

# Every process of every Pod is in a group below isocast.
kill_pods() {
    local folder pid
    for folder in $(cgroup_folders); do
        for pid in $(cat "$folder/cgroup.procs" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
    done
}

remove_cgroups() { [[ -z $(kill_pods; for folder in $(cgroup_folders); do rmdir "$folder" 2>&1; done) ]]; }

# containerd's shims outlive it. They name its socket, which is in the lab's folder.
kill_shims() {
    local pid
    for pid in $(pgrep -f "^[^ ]*containerd-shim.* -address $run/node"); do kill -KILL "$pid" 2>/dev/null || true; done
}

# What a node has left elsewhere than in the lab's folder, by the ids of its containers.
remove_traces() {
    local container socket
    for container in "$run"/node*/containerd-state/io.containerd.runtime.v2.task/k8s.io/*/; do
        [[ -d $container ]] || continue
        socket=$(cat "$container/address" 2>/dev/null)
        if [[ -n $socket ]]; then rm -f "${socket#unix://}"; fi
        rm -f "/var/lib/cni/results/"*"-$(basename "$container")-"*
    done
    find /var/log/containers -lname "$run/*" -delete 2>/dev/null
}
