# Who is who in a lab: one authority, a certificate for each part, a kubeconfig for each client.
# They last as long as a lab does; nothing outside it trusts them.

readonly days=30

authority() {
    mkdir -p "$run/pki"
    new_key ca
    openssl req -x509 -new -key "$run/pki/ca.key" -out "$run/pki/ca.crt" -subj /CN=isocast-lab -days $days
    # Not a certificate: service account tokens are signed with it.
    new_key accounts
    openssl pkey -in "$run/pki/accounts.key" -pubout -out "$run/pki/accounts.pub"
}

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$run/pki/$1.key"; }

# certificate NAME SUBJECT [ALTERNATIVE_NAMES]
certificate() {
    local extensions=extendedKeyUsage=serverAuth,clientAuth
    [[ -z ${3:-} ]] || extensions+=$'\n'subjectAltName=$3
    new_key "$1"
    openssl req -new -key "$run/pki/$1.key" -subj "$2" |
        openssl x509 -req -CA "$run/pki/ca.crt" -CAkey "$run/pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
            -days $days -extfile <(echo "$extensions") -out "$run/pki/$1.crt" 2>/dev/null
}

# client NAME SUBJECT [ALTERNATIVE_NAMES]: its certificate, and $run/NAME.kubeconfig.
client() {
    certificate "$@"
    cat >"$run/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster: {server: "$api", certificate-authority-data: $(encoded ca.crt)}
users:
- name: $1
  user: {client-certificate-data: $(encoded "$1.crt"), client-key-data: $(encoded "$1.key")}
contexts:
- name: lab
  context: {cluster: lab, user: $1}
current-context: lab
YAML
    chmod 600 "$run/$1.kubeconfig"
}

encoded() { base64 -w0 "$run/pki/$1"; }
