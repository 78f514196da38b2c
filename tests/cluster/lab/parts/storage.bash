# Volumes for claims to bind to: folders of each node, in a class that is the default. Nothing makes
# or empties them while the lab runs; each serves one claim.

readonly volumes_per_node=16

# storage NODES
storage() {
    local n v folder
    {
        storage_class
        for n in $(seq "$1"); do
            for v in $(seq "$volumes_per_node"); do
                folder=$run/node$n/volumes/$v
                mkdir -p "$folder"
                # A Pod without an fsGroup can write too, if it runs in the images' group.
                chown 0:65532 "$folder"
                chmod 2770 "$folder"
                volume "node$n" "$v" "$folder"
            done
        done
    } | kubectl apply -f -
}

storage_class() {
    cat <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: isocast-lab
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
}

# volume NODE NUMBER FOLDER
volume() {
    cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1-$2}
spec:
  storageClassName: isocast-lab
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: $3}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$1]}]
YAML
}
