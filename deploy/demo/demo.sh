#!/usr/bin/env bash
# The Sample operator at work on a real API server: `make demo` builds what this needs, then calls it.
#
# KEEP=1                    leaves all running at the end, and says how to go on
# OPERON_TEST_KUBECONFIG=F  uses the cluster of that kubeconfig, after asking; OPERON_TEST_YES=1 answers where no terminal is
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d "${TMPDIR:-/tmp}/operon-demo.XXXXXX")
log=$work/operon.log
# The cache of compiled plugins: nothing stays in the home folder.
export XDG_CACHE_HOME=$work/cache
own_cluster=${OPERON_TEST_KUBECONFIG:-}
limit=60 # seconds that a state is waited for
[[ -z $own_cluster ]] || limit=300 # an image may have to be pulled
host='' wrote='' doing='starting'
shown=()
bold='' plain=''
[[ ! -t 1 ]] || { bold=$'\e[1m' plain=$'\e[0m'; }

act() { doing=$1; printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
# Prints a command as a person types it, and runs it.
show() { doing=$1; printf '\n%s$ %s%s\n' "$bold" "$1" "$plain"; eval "$1" 2>&1; }
seen() { shown+=("$1"); }
refuse() { echo "demo: $1" >&2; doing=''; exit 1; }

# wait_until WHAT COMMAND...: until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + limit))
    doing="waiting until $1"
    until "${@:2}" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || { echo "After $limit s it is not so that $1." >&2; return 1; }
        [[ -z $host ]] || kill -0 "$host" 2>/dev/null || { echo "The host has ended." >&2; return 1; }
        sleep 0.2
    done
}
message_is() { [[ $(kubectl get sample obj -n demo -o jsonpath='{.status.sample_create.message}') == "$1" ]]; }
replicas_are() { [[ $(kubectl get deployment demo-deploy -n demo -o jsonpath='{.spec.replicas}') == "$1" ]]; }
pods_are() { [[ $(kubectl get pods -n demo -o name | wc -l) -eq $1 ]]; }
# The Deployment and its Pods are as the Sample counts, and the Sample's status says this.
handled() {
    wait_until "the Deployment has $1 replicas" replicas_are "$1"
    show "kubectl rollout status deployment/demo-deploy -n demo --timeout=${limit}s"
    wait_until "there are $1 pods" pods_are "$1"
    wait_until "the Sample says: $2" message_is "$2"
    show 'kubectl get sam,deploy,pods -n demo'
}

end_host() {
    [[ -n $host ]] || return 0
    kill "$host" 2>/dev/null
    for ((i = 0; i < 150; i++)); do
        kill -0 "$host" 2>/dev/null || break
        sleep 0.2
    done
    kill -KILL "$host" 2>/dev/null && echo 'The host did not end within 30 s of SIGTERM.' >&2
    wait "$host" 2>/dev/null
    host=''
}
remove_from_own_cluster() {
    [[ -n $wrote ]] || return 0
    echo 'Removing what the demo made in your cluster.'
    # The host takes its finalizer away. Where it no longer can, it is taken.
    kubectl delete samples --all -n demo --ignore-not-found --timeout=30s >/dev/null 2>&1 ||
        kubectl patch sample obj -n demo --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null 2>&1
    end_host
    kubectl delete --ignore-not-found --timeout=120s -f deploy/demo/rbac.yaml -f deploy/demo/namespace.yaml -f deploy/demo/crd.yaml -f deploy/crds >/dev/null
}
say_how_to_go_on() {
    local bin='' down="target/devcluster/bin/devcluster down --dir $work/cluster"
    [[ -n $own_cluster ]] || bin="export PATH=$PWD/target/devcluster/bin:\$PATH"
    [[ -z $own_cluster ]] || down='kubectl delete -f deploy/demo/rbac.yaml -f deploy/demo/namespace.yaml -f deploy/demo/crd.yaml -f deploy/crds'
    cat <<END

All is left running. To go on:
${bin:+  $bin
}  export KUBECONFIG=$KUBECONFIG
  kubectl apply -f deploy/demo/sample.yaml
  kubectl get sam,deploy,pods -n demo
  tail -f $log

To end it:
  kubectl delete samples --all -n demo
  kill ${host:-# the host has ended}
  $down
  rm -r $work
END
}
finish() {
    local code=$?
    set +e
    trap '' INT TERM
    if ((code != 0)) && [[ -n $doing ]]; then
        printf '\n%sThe demo failed at: %s%s\n' "$bold" "$doing" "$plain" >&2
        [[ ! -s $log ]] || { echo 'The last lines of the host:' >&2; tail -n 20 "$log" >&2; }
        code=1
    fi
    if [[ -n ${KEEP:-} && -n $wrote ]]; then
        say_how_to_go_on
        exit "$code"
    fi
    if [[ -n $own_cluster ]]; then
        remove_from_own_cluster || code=1
    fi
    end_host
    [[ ! -d $work/cluster ]] || target/devcluster/bin/devcluster down --dir "$work/cluster" >/dev/null || code=1
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# May the cluster of OPERON_TEST_KUBECONFIG be written to?
ask() {
    local answer context
    context=$(kubectl config current-context)
    for there in namespace/demo namespace/operon-system customresourcedefinition/samples.nuvolaris.org; do
        [[ -z $(kubectl get "$there" --ignore-not-found -o name) ]] ||
            refuse "$there is in the cluster $context already, and this would change and remove it"
    done
    [[ ${OPERON_TEST_YES:-} != 1 ]] || return 0
    [[ -t 0 ]] || refuse "no terminal to ask on: OPERON_TEST_YES=1 allows writing to the cluster $context"
    read -rp "Make the namespaces demo and operon-system and a CRD in the cluster $context, and remove them at the end? (yes/no) " answer
    [[ $answer == yes ]] || refuse 'nothing was written'
}

# kubectl's cache of the API as well: nothing is written to the user's home.
export KUBECACHEDIR=$work/cache
if [[ -n $own_cluster ]]; then
    KUBECONFIG=$(realpath -- "$own_cluster")
    export KUBECONFIG
    ask
else
    export PATH=$PWD/target/devcluster/bin:$PATH KUBECONFIG=$work/cluster/kubeconfig
    mkdir "$work/cluster"
    act 'A control plane on this machine: etcd, API server, controllers, scheduler, one simulated node'
    show "devcluster up --dir $work/cluster --detach"
fi

act 'The namespaces, the CRDs, and the few rights that the host gets'
wrote=1
show 'kubectl apply -f deploy/crds -f deploy/demo/namespace.yaml -f deploy/demo/crd.yaml -f deploy/demo/rbac.yaml'
wait_until 'Samples are served' kubectl get samples -n demo

# The host logs in as its ServiceAccount, so that it has the rights of rbac.yaml and no others.
login=$work/operon.kubeconfig
admin=$(kubectl config view --minify -o jsonpath='{.users[0].name}')
kubectl config view --minify --flatten --raw >"$login"
{
    kubectl --kubeconfig "$login" config delete-user "$admin"
    kubectl --kubeconfig "$login" config set-credentials operon --token "$(kubectl create token operon -n operon-system --duration 8h)"
    kubectl --kubeconfig "$login" config set-context --current --user operon
} >/dev/null 2>&1

act '1. Create: the plugin goes into a ConfigMap, the host starts, a Sample is applied'
show 'kubectl create configmap sample-plugin --namespace operon-system --from-file=plugin.wasm=target/plugins/sample.wasm'
command="target/release/operon run --config deploy/demo/operon.yaml --kubeconfig $login"
printf '\n%s$ %s 2>%s &%s\n' "$bold" "$command" "$log" "$plain"
# shellcheck disable=SC2086  # one word for each word typed
nohup $command </dev/null >"$log" 2>&1 &
host=$!
echo "The host is process $host."
show 'kubectl apply -f deploy/demo/sample.yaml'
handled 2 'demo-deploy scaled to 2 replicas'
seen 'create: the plugin made a Deployment with 2 replicas, and its pods are ready'

act '2. Change the count'
show "kubectl patch sample obj -n demo --type merge -p '{\"spec\":{\"count\":4}}'"
handled 4 'demo-deploy scaled to 4 replicas'
seen 'update: it scaled to 4'

act '3. Replace the plugin while the host runs: the second build also says what it scaled from'
show 'kubectl create configmap sample-plugin --namespace operon-system --from-file=plugin.wasm=target/plugins/sample-v2.wasm --dry-run=client -o yaml | kubectl replace -f -'
wait_until 'the new plugin has looked at the Sample' message_is 'demo-deploy stays at 4 replicas'
show 'kubectl get sam -n demo'
seen 'swap: the new plugin took over from the ConfigMap'

act '4. The next change is handled by the new plugin, with no restart'
show "kubectl patch sample obj -n demo --type merge -p '{\"spec\":{\"count\":3}}'"
handled 3 'demo-deploy scaled from 4 to 3 replicas'
kill -0 "$host"
echo "The host is still process $host."
seen 'next change: the new plugin scaled from 4 to 3, in the same host process'

act '5. Delete the Sample: its Deployment goes'
show "kubectl delete sample obj -n demo --timeout=${limit}s"
show "kubectl wait --for=delete deployment/demo-deploy -n demo --timeout=${limit}s"
wait_until 'the pods are gone' pods_are 0
show 'kubectl get sam,deploy,pods -n demo'
seen 'delete: the Deployment and its pods are gone'

printf '\n%sThe demo is done, in %d s:%s\n' "$bold" "$SECONDS" "$plain"
printf '  \xe2\x9c\x93 %s\n' "${shown[@]}"
