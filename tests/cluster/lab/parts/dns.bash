# CoreDNS as a process of the first node, behind the address that kubelets tell to Pods. It knows the
# cluster's names and says of all others that there is nothing.

readonly dns=10.83.0.10

name_service() {
    client dns /O=system:masters/CN=dns
    cat >"$run/Corefile" <<CONFIGURATION
cluster.local in-addr.arpa {
    bind $address
    errors
    kubernetes {
        kubeconfig $run/dns.kubeconfig lab
    }
}
. {
    bind $address
    template ANY ANY {
        rcode NXDOMAIN
    }
}
CONFIGURATION
    start dns "${inside[@]}" "$bin/coredns" -conf "$run/Corefile"
    kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $dns
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [$address]}]
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
YAML
}
