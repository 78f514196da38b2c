# etcd, the API server, the controllers and the scheduler: the same in both forms of a lab.
#
# Set by the form: $address and $port of the API, $api (its URL), and the array $inside, which is put
# in front of a command that belongs into the network of the control plane.

readonly services=10.83.0.0/16 services_first=10.83.0.1

control_plane() {
    authority
    client admin /O=system:masters/CN=admin
    client controllers /CN=system:kube-controller-manager
    client scheduler /CN=system:kube-scheduler
    etcd
    api_server
    controllers
}

# On sockets in $run: no port to choose, and nobody else can reach it. etcd wants a port in their
# names all the same; 1 is for clients, 2 for the other members that it has not.
etcd() {
    start etcd "${inside[@]}" etcd --name lab --data-dir etcd --unsafe-no-fsync --logger zap --log-level warn \
        --listen-client-urls unix://etcd:1 --advertise-client-urls unix://etcd:1 \
        --listen-peer-urls unix://etcd:2 --initial-advertise-peer-urls unix://etcd:2 --initial-cluster lab=unix://etcd:2
}

api_server() {
    certificate api-server /CN=kube-apiserver "$(
        printf 'DNS:%s,' localhost kubernetes{,.default{,.svc{,.cluster.local}}}
        printf 'IP:%s,IP:%s' "$services_first" "$address"
    )"
    # For APIs that are added by extension servers.
    certificate front-proxy /CN=front-proxy-client
    audit_policy >"$run/audit-policy.yaml"
    start api-server "${inside[@]}" "$bin/kubernetes" kube-apiserver \
        --etcd-servers=unix://etcd:1 \
        --bind-address="$address" --advertise-address="$address" --secure-port="$port" \
        --tls-cert-file=pki/api-server.crt --tls-private-key-file=pki/api-server.key --client-ca-file=pki/ca.crt \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file=pki/accounts.pub --service-account-signing-key-file=pki/accounts.key \
        --service-cluster-ip-range=$services \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged \
        --kubelet-client-certificate=pki/admin.crt --kubelet-client-key=pki/admin.key \
        --kubelet-preferred-address-types=InternalIP \
        --requestheader-client-ca-file=pki/ca.crt --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- --enable-aggregator-routing \
        --proxy-client-cert-file=pki/front-proxy.crt --proxy-client-key-file=pki/front-proxy.key \
        --audit-policy-file=audit-policy.yaml --audit-log-path=audit.log --audit-log-maxsize=1000 \
        --request-timeout=60s --max-requests-inflight=3000 --max-mutating-requests-inflight=1000
    wait_for_process 60 api-server kubectl get --raw /readyz
}

# Who wrote what, so that tests can count it. Without bodies: they hold secrets.
audit_policy() {
    cat <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
YAML
}

controllers() {
    start controllers "${inside[@]}" "$bin/kubernetes" kube-controller-manager --kubeconfig=controllers.kubeconfig \
        --secure-port=0 --leader-elect=false --use-service-account-credentials \
        --root-ca-file=pki/ca.crt --service-account-private-key-file=pki/accounts.key \
        --cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key
    # Pods are refused in a namespace without it.
    wait_for_process 30 controllers kubectl get serviceaccount default
}

scheduler() {
    start scheduler "${inside[@]}" "$bin/kubernetes" kube-scheduler --kubeconfig=scheduler.kubeconfig \
        --secure-port=0 --leader-elect=false
}
