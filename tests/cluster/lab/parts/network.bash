# One bridge, a network namespace for each node and one for clients. No namespace has a way out: what
# is for none of the lab's networks is unreachable there. The machine has an address on the bridge,
# from which it reaches the nodes themselves, so the API; Pods and Services it does not.

readonly bridge=isocast0 nodes_network=10.81.0 pods_network=10.82 # /24, and a /24 of it for each node
readonly machine_host=254 client_host=250

node_address() { echo "$nodes_network.$1"; }

# network NODES
network() {
    local n
    ip link add "$bridge" type bridge
    ip address add "$nodes_network.$machine_host/24" dev "$bridge"
    ip link set "$bridge" up
    # What a program of the machine answers to a Pod gets lost here, rather than on the machine's way out.
    ip route add "$pods_network.0.0/16" dev "$bridge"
    ip route add "$services" dev "$bridge"
    for n in $(seq "$1"); do
        host "node$n" "isocast$n" "$(node_address "$n")"
        in_host "node$n" sysctl -qw net.ipv4.ip_forward=1
        # Any node answers for a Service; kube-proxy rewrites the address before it is looked for.
        ip -n "isocast-node$n" route add "$services" dev eth0
        pods_of_others "node$n" "$n" "$1"
    done
    host client isocastc "$nodes_network.$client_host"
    ip -n isocast-client route add "$services" via "$(node_address 1)"
    pods_of_others client 0 "$1"
}

# host NAME LINK ADDRESS: a namespace on the bridge. `ip link set LINK down` cuts it off.
host() {
    ip netns add "isocast-$1"
    ip link add "$2" type veth peer name eth0 netns "isocast-$1"
    ip link set "$2" master "$bridge" up
    ip -n "isocast-$1" link set lo up
    ip -n "isocast-$1" address add "$3/24" dev eth0
    ip -n "isocast-$1" link set eth0 up
    ip -n "isocast-$1" route add unreachable default
}

# pods_of_others HOST SELF NODES: the way to the Pods of each node but SELF.
pods_of_others() {
    local n
    for n in $(seq "$3"); do
        ((n == $2)) || ip -n "isocast-$1" route add "$pods_network.$n.0/24" via "$(node_address "$n")"
    done
}

# in_host NAME COMMAND…
in_host() { nsenter "$(net_of "$1")" "${@:2}"; }
# For nsenter: `ip netns exec` hides the control groups.
net_of() { echo "--net=/run/netns/isocast-$1"; }

remove_network() {
    local namespace
    for namespace in $(ip netns list | awk '/^isocast-(node[0-9]+|client)( |$)/ { print $1 }'); do
        ip netns delete "$namespace"
    done
    if ip link show "$bridge" >/dev/null 2>&1; then ip link delete "$bridge"; fi
}
